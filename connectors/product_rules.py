"""Rules that products must keep to be written to a cart. Pure: the engine plans by them, writers insist on them."""

from __future__ import annotations

from connectors.records import ProductFamilyChange, ProductRules, VariantChange


def plain_sku(sku: str) -> str:
    """Letters and digits only."""
    return "".join(letter for letter in sku if letter.isalnum())


def match_key(sku: str, rules: ProductRules) -> str:
    """The form in which the SKUs of a warehouse and of a cart are compared."""
    return (plain_sku(sku) if rules.plain_skus else sku.strip()).casefold()


def sku_problem(sku: str, rules: ProductRules) -> tuple[str, str] | None:
    """What is wrong with a SKU, and what to do about it."""
    if not sku.strip():
        return "A product has no SKU.", "Give the product a SKU in the warehouse."
    if rules.plain_skus and any(letter.isspace() for letter in sku):
        return f"The SKU “{sku}” contains white space, which the cart refuses.", (
            "Take the spaces out of the SKU in the warehouse."
        )
    if rules.plain_skus and not plain_sku(sku):
        return f"The SKU “{sku}” has neither letters nor digits.", "Give the product another SKU in the warehouse."
    return None


def family_problem(family: ProductFamilyChange, rules: ProductRules, variants: int = 0) -> tuple[str, str] | None:
    """Why a family cannot be written as it is, and what to do about it. ``variants``: how many it has at the
    warehouse, when the change names only some of them."""
    number = max(variants, len(family.variants))
    if not family.name.strip():
        return "The product has no name.", "Give the product a name in the warehouse."
    if rules.most_variants and number > rules.most_variants:
        return (
            f"“{family.name}” has {number:,} variants; the cart takes {rules.most_variants} at most.",
            "Divide the product into several with different names in the warehouse.",
        )
    names = attribute_names(family.variants)
    if rules.most_attributes and len(names) > rules.most_attributes:
        return (
            f"“{family.name}” has {len(names)} attributes ({', '.join(names)}); the cart takes "
            f"{rules.most_attributes} at most.",
            "Take attributes off the product in the warehouse.",
        )
    for variant in family.variants:
        if not variant.remote_id and (problem := sku_problem(variant.sku, rules)):
            return problem
    new = [variant for variant in family.variants if not variant.remote_id]
    return variants_problem(family, new, max(number, len(new))) if new else None


def attribute_names(variants: tuple[VariantChange, ...]) -> list[str]:
    """The attributes of a family, in the order in which its variants name them."""
    return list(dict.fromkeys(name for variant in variants for name in variant.attributes or ()))


def variants_problem(family: ProductFamilyChange, new: list[VariantChange], number: int) -> tuple[str, str] | None:
    """Variants to be created must be told apart by their attributes."""
    if number == 1:
        return None
    fix = "Give every variant its own values of the same attributes in the warehouse."
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
