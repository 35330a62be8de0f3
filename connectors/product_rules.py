"""Rules that products must keep to be written. Pure: the engine plans by them, writers insist on them."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.records import ProductFamilyChange, ProductRules, VariantChange


@dataclass(frozen=True, slots=True)
class Sides:
    """What people call the two sides, in sentences like "in the warehouse" and "the cart takes"."""

    source: str
    target: str


TO_CART = Sides("the warehouse", "the cart")
TO_WAREHOUSE = Sides("the shop", "the warehouse")


def plain_sku(sku: str) -> str:
    """Letters and digits only."""
    return "".join(letter for letter in sku if letter.isalnum())


def match_key(sku: str, rules: ProductRules) -> str:
    """The form in which the SKUs of the two sides are compared."""
    return (plain_sku(sku) if rules.plain_skus else sku.strip()).casefold()


def sku_problem(sku: str, rules: ProductRules, sides: Sides = TO_CART) -> tuple[str, str] | None:
    """What is wrong with a SKU, and what to do about it."""
    if not sku.strip():
        return "A product has no SKU.", f"Give the product a SKU in {sides.source}."
    if rules.plain_skus and any(letter.isspace() for letter in sku):
        return f"The SKU “{sku}” contains white space, which {sides.target} refuses.", (
            f"Take the spaces out of the SKU in {sides.source}."
        )
    if rules.plain_skus and not plain_sku(sku):
        return f"The SKU “{sku}” has neither letters nor digits.", (f"Give the product another SKU in {sides.source}.")
    return None


def family_problem(
    family: ProductFamilyChange, rules: ProductRules, variants: int = 0, sides: Sides = TO_CART
) -> tuple[str, str] | None:
    """Why a family cannot be written as it is, and what to do about it. ``variants``: how many it has at the source, when
    the change names only some of them."""
    number = max(variants, len(family.variants))
    if not family.name.strip():
        return "The product has no name.", f"Give the product a name in {sides.source}."
    if rules.most_variants and number > rules.most_variants:
        return (
            f"“{family.name}” has {number:,} variants; {sides.target} takes {rules.most_variants} at most.",
            f"Divide the product into several with different names in {sides.source}.",
        )
    names = attribute_names(family.variants)
    if rules.most_attributes and len(names) > rules.most_attributes:
        return (
            f"“{family.name}” has {len(names)} attributes ({', '.join(names)}); {sides.target} takes "
            f"{rules.most_attributes} at most.",
            f"Take attributes off the product in {sides.source}.",
        )
    for variant in family.variants:
        if not variant.remote_id and (problem := sku_problem(variant.sku, rules, sides)):
            return problem
    new = [variant for variant in family.variants if not variant.remote_id]
    if not new or not rules.distinct_variants:
        return None
    return variants_problem(family, new, max(number, len(new)), sides)


def attribute_names(variants: tuple[VariantChange, ...]) -> list[str]:
    """The attributes of a family, in the order in which its variants name them."""
    return list(dict.fromkeys(name for variant in variants for name in variant.attributes or ()))


def variants_problem(
    family: ProductFamilyChange, new: list[VariantChange], number: int, sides: Sides
) -> tuple[str, str] | None:
    """Variants to be created must be told apart by their attributes."""
    if number == 1:
        return None
    fix = f"Give every variant its own values of the same attributes in {sides.source}."
    names = attribute_names(family.variants)
    if not names:
        return f"“{family.name}” has {number} variants, but no attribute that tells them apart.", fix
    combinations = set()
    for variant in new:
        values = tuple((variant.attributes or {}).get(name, "").strip().casefold() for name in names)
        if not all(values):
            return f"The variant {variant.sku} of “{family.name}” lacks a value of {', '.join(names)}.", fix
        if values in combinations:
            return f"Two variants of “{family.name}” have the same attributes, {variant.sku} among them.", fix
        combinations.add(values)
    return None
