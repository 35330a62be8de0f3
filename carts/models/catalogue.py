"""What remote systems list: products and customers, kept in step by their feeds."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from carts.models.connections import Cart, Connection, Warehouse
from carts.models.fields import PlainKeyField, StockKeyField
from connectors.functions import Role
from connectors.records import ProductKind


def sku_key(sku: str) -> str:
    """The form in which SKUs are compared: no surrounding space, case ignored."""
    return sku.strip().casefold()


class StockMatch(models.TextChoices):
    """How the article was found that a cart's product is at the cart's warehouse."""

    NONE = "none", "Not found"
    AMBIGUOUS = "ambiguous", "Ambiguous"
    HAND = "hand", "Linked by hand"
    HANDLE = "handle", "Handle"
    SKU = "sku", "Equal SKU"
    PLAIN_SKU = "plain_sku", "SKU without special characters"
    CREATED = "created", "Created by the hub"


class Product(models.Model):
    """One sellable article as one connection lists it. The built-in warehouse's products are edited here.

    Of a cart's product: ``stock_key`` is the ``sku_key`` of the warehouse's article that it is, its own where none was
    found or where both are equal; ``stock_sku`` the SKU as the warehouse writes it, where it is another; ``stock_match``
    how the article was found, and since when. Kept by ``carts.stock_keys``.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="products", db_index=False)
    external_id = models.CharField(max_length=120)
    version = models.BigIntegerField(default=0, editable=False)
    sku = models.CharField("SKU", max_length=200, blank=True)
    sku_key = models.CharField(max_length=200, blank=True, editable=False)
    plain_key = PlainKeyField(max_length=200, blank=True, editable=False)
    stock_key = StockKeyField(max_length=200, blank=True, editable=False)
    stock_sku = models.CharField(max_length=200, blank=True, editable=False)
    stock_match = models.CharField(max_length=12, choices=StockMatch.choices, default=StockMatch.NONE, editable=False)
    stock_match_at = models.DateTimeField(null=True, blank=True, editable=False)
    name = models.CharField(max_length=500, blank=True)
    handle = models.CharField(max_length=300, blank=True)
    family_id = models.CharField(max_length=120, blank=True)
    barcode = models.CharField(max_length=80, blank=True)
    description = models.TextField(blank=True)
    brand = models.CharField(max_length=200, blank=True)
    product_type = models.CharField(max_length=200, blank=True)
    supplier = models.CharField(max_length=200, blank=True)
    supplier_code = models.CharField(max_length=200, blank=True)
    tags = models.JSONField(default=list, blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    prices = models.JSONField(
        default=dict, blank=True, help_text='Price lists, for example {"retail": "20.00", "wholesale": "11.50"}.'
    )
    currency = models.CharField(max_length=3, blank=True)
    kind = models.CharField(
        max_length=20, default=ProductKind.GOODS.value, choices=[(k.value, k.name.title()) for k in ProductKind]
    )
    is_active = models.BooleanField(default=True)
    is_stock_tracked = models.BooleanField(default=True)
    deleted = models.BooleanField(default=False)
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    class Meta:
        ordering = ["sku", "pk"]
        constraints = [models.UniqueConstraint(fields=["connection", "external_id"], name="product_is_unique")]
        indexes = [
            models.Index(fields=["connection", "sku_key"], name="product_by_sku"),
            models.Index(fields=["connection", "plain_key"], name="product_by_plain_sku"),
            models.Index(fields=["connection", "stock_key"], name="product_by_stock_key"),
            # The few whose warehouse writes another SKU: found by their own when somebody looks for orders.
            models.Index(fields=["sku_key"], condition=Q(stock_sku__gt=""), name="product_with_other_sku"),
            models.Index(fields=["connection", "family_id"], condition=~Q(family_id=""), name="product_by_family"),
        ]

    def __str__(self) -> str:
        return f"{self.sku or self.external_id} {self.name}".strip()

    def save(self, *args: object, **kwargs: object) -> None:
        self.sku_key = sku_key(self.sku)
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    @property
    def family_key(self) -> str:
        """What all variants of one product share; a product without variants is a family of its own."""
        return self.family_id or self.external_id


class ShopProducts(models.Manager["ShopProduct"]):
    def get_queryset(self) -> models.QuerySet[ShopProduct]:
        return super().get_queryset().filter(connection__role=Role.CART, kind=ProductKind.GOODS, deleted=False)


class ShopProduct(Product):
    """A cart's product as *Product links* shows it: goods, and the article that they are at the cart's warehouse."""

    objects = ShopProducts()

    class Meta:
        proxy = True
        verbose_name = "product link"


class ProductMatch(models.TextChoices):
    """How a product of one side was found to be the product of the other."""

    HAND = "hand", "Linked by hand"
    HANDLE = "handle", "Handle"
    SKU = "sku", "Equal SKU"
    PLAIN_SKU = "plain_sku", "SKU without special characters"
    CREATED = "created", "Created by the hub"


class PushedProduct(models.Model):
    """A product (``product``) that is written to the other side: which article it is there, and what that side last
    acknowledged of it.

    ``acknowledged`` holds a fingerprint per field. ``product_updated_at`` and ``rules`` say which state of the product,
    and of the other side's options, was looked at last: while both hold there is nothing to do. ``problem`` is why it was
    not written; ``tried`` is the fingerprint of a change that was refused, which is not sent again. ``note`` is what was
    left alone when it was written last. ``in_doubt_since``: a creation got no answer.
    """

    remote_id = models.CharField(max_length=120, blank=True)
    matched_by = models.CharField(max_length=12, blank=True, choices=ProductMatch.choices)
    acknowledged = models.JSONField(default=dict, blank=True)
    product_updated_at = models.DateTimeField(null=True, blank=True)
    rules = models.CharField(max_length=16, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    written_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=500, blank=True)
    note = models.CharField(max_length=500, blank=True)
    tried = models.CharField(max_length=32, blank=True)
    in_doubt_since = models.DateTimeField(null=True, blank=True)

    product: models.ForeignKey[Product, Product]

    class Meta:
        abstract = True


class ProductLink(PushedProduct):
    """A product of a warehouse is a product of a cart (``remote_id`` is its id there). Product Detail Sync of the cart
    writes by it; stock and orders follow it. Without ``remote_id`` nothing is linked: the row only says why."""

    cart = models.ForeignKey(Cart, on_delete=models.CASCADE, related_name="product_links")
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="cart_links")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cart", "product"], name="product_link_is_unique")]
        indexes = [
            models.Index(fields=["cart", "remote_id"], name="product_link_by_remote"),
            models.Index(fields=["cart"], condition=~Q(problem=""), name="product_link_problems"),
        ]

    def __str__(self) -> str:
        return f"{self.product} at {self.cart}"


class SentProduct(PushedProduct):
    """A product of a cart that is sent to its warehouse (``remote_id`` is its id there), by Product Detail Sync of the
    warehouse."""

    warehouse = models.ForeignKey(Warehouse, on_delete=models.CASCADE, related_name="sent_products")
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="sent_as")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["warehouse", "product"], name="sent_product_is_unique")]
        indexes = [
            models.Index(fields=["warehouse", "remote_id"], name="sent_product_by_remote"),
            models.Index(fields=["warehouse"], condition=~Q(problem=""), name="sent_product_problems"),
        ]

    def __str__(self) -> str:
        return f"{self.product} at {self.warehouse}"


class Customer(models.Model):
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="customers", db_index=False)
    external_id = models.CharField(max_length=120)
    version = models.BigIntegerField(default=0, editable=False)
    code = models.CharField(max_length=120, blank=True)
    first_name = models.CharField(max_length=200, blank=True)
    last_name = models.CharField(max_length=200, blank=True)
    company = models.CharField(max_length=200, blank=True)
    email = models.CharField(max_length=254, blank=True)
    phone = models.CharField(max_length=60, blank=True)
    ship_to = models.JSONField(default=dict, blank=True)
    bill_to = models.JSONField(default=dict, blank=True)
    is_walk_in = models.BooleanField(default=False)
    deleted = models.BooleanField(default=False)
    merged_into = models.CharField(
        max_length=120, blank=True, help_text="The cart's id of the customer that took this one's place."
    )
    survivor = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="merged", db_index=False
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "external_id"], name="customer_is_unique")]
        indexes = [
            models.Index(fields=["connection", "email"], condition=~Q(email=""), name="customer_by_email"),
            models.Index(fields=["connection", "merged_into"], condition=~Q(merged_into=""), name="customer_merged"),
            models.Index(fields=["survivor"], condition=Q(survivor__isnull=False), name="customer_survivor"),
        ]

    def __str__(self) -> str:
        return self.display_name or self.code or self.external_id

    @property
    def current(self) -> Customer:
        """The customer that counts now: of one that was merged the one that took its place."""
        return self.survivor or self

    @property
    def display_name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part) or self.company
