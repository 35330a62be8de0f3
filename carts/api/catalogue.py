"""Products and customers as the connections list them; the products of built-in warehouses are edited here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from carts.api.errors import Conflict, ProblemSerializer, conflicts_told
from carts.api.fields import AddressSerializer, HubSerializer, MoneyText
from carts.api.filters import IdFilter, MomentFilter
from carts.api.scoping import MerchantScopedMixin, ScopedRelatedField
from carts.models import Cart, Connection, Customer, Product
from carts.models.catalogue import sku_key
from carts.product_links import unmatched_articles

SHORT_TEXT = 200


class Prices(serializers.DictField):
    """Price list -> amount. Stored as text, as it was entered or sent."""

    child = MoneyText(min_value=0)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        prices = super().to_internal_value(data)
        if any(not name.strip() or len(name) > SHORT_TEXT or "\x00" in name for name in prices):
            raise serializers.ValidationError("Give every price list a name of at most 200 characters.")
        return {name: self.child.to_representation(amount) for name, amount in prices.items()}

    def to_representation(self, value: Any) -> dict[str, str]:
        return {name: str(amount) for name, amount in value.items()} if isinstance(value, Mapping) else {}


class ProductSerializer(HubSerializer):
    """One sellable article as one connection lists it."""

    connection = ScopedRelatedField(
        queryset=Connection.objects.all(),
        help_text="The cart or warehouse that lists it. For changes: a built-in warehouse.",
    )
    external_id = serializers.CharField(
        max_length=120, required=False, help_text="The id at the remote system. Left out for a new product: made up."
    )
    sku = serializers.CharField(max_length=SHORT_TEXT)
    prices = Prices(required=False, help_text='Price lists, for example {"Retail": "20.00", "Wholesale": "11.50"}.')
    tags = serializers.ListField(child=serializers.CharField(max_length=SHORT_TEXT), required=False)
    attributes = serializers.DictField(child=serializers.CharField(max_length=1000, allow_blank=True), required=False)

    class Meta:
        model = Product
        fields = [
            "id",
            "connection",
            "external_id",
            "sku",
            "name",
            "handle",
            "family_id",
            "barcode",
            "description",
            "brand",
            "product_type",
            "supplier",
            "supplier_code",
            "tags",
            "attributes",
            "prices",
            "currency",
            "kind",
            "is_active",
            "is_stock_tracked",
            "deleted",
            "updated_at",
        ]
        read_only_fields = ["family_id", "deleted"]
        validators: list[Any] = []  # in ``validate``, with texts that name the field

    def validate_connection(self, connection: Connection) -> Connection:
        if self.instance is not None and connection.pk != self.instance.connection_id:
            raise serializers.ValidationError("A product stays with its warehouse.")
        check_editable(connection)
        return connection

    def validate_attributes(self, attributes: dict[str, str]) -> dict[str, str]:
        if any("\x00" in name for name in attributes):
            raise serializers.ValidationError("A name holds a character that cannot be stored.")
        return attributes

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        known: Product | None = self.instance
        others = Product.objects.filter(connection=known.connection_id if known else given["connection"].pk)
        others = others.exclude(pk=known.pk) if known else others
        errors = {}
        if "sku" in given and others.filter(sku_key=sku_key(given["sku"]), deleted=False).exists():
            errors["sku"] = ["The warehouse has another product with this SKU."]
        if "external_id" in given and others.filter(external_id=given["external_id"]).exists():
            errors["external_id"] = ["The warehouse has (or had) another product with this id."]
        if errors:
            raise serializers.ValidationError(errors)
        if known is None:
            given.setdefault("external_id", uuid.uuid4().hex)
        given["version"] = known.version + 1 if known else 1
        return given

    def save(self, **kwargs: Any) -> Product:
        with conflicts_told(external_id="The warehouse has another product with this id."):
            return super().save(**kwargs)


def check_editable(connection: Connection) -> None:
    if not connection.is_in_hub:
        raise serializers.ValidationError(f"The products of {connection} are edited in its own system.")


class ProductFilter(django_filters.FilterSet):
    connection = IdFilter()
    sku = django_filters.CharFilter(method="with_sku", label="Upper and lower case alike.")
    external_id = django_filters.CharFilter()
    updated_since = MomentFilter(field_name="updated_at", lookup_expr="gte")
    is_active = django_filters.BooleanFilter()
    deleted = django_filters.BooleanFilter()
    unmatched_at = IdFilter(
        method="without_shop_product",
        label="A cart: only the articles of its warehouse that none of its products is.",
    )

    def without_shop_product(self, rows: QuerySet[Product], name: str, cart_id: int) -> QuerySet[Product]:
        cart = Cart.objects.filter(pk=cart_id).first()
        return unmatched_articles(cart, rows) if cart is not None else rows.none()

    def with_sku(self, rows: QuerySet[Product], name: str, sku: str) -> QuerySet[Product]:
        return rows.filter(sku_key=sku_key(sku))


class ProductViewSet(MerchantScopedMixin, viewsets.ModelViewSet):
    """Products of all connections, deleted ones included (`deleted`). Those of built-in warehouses can be changed."""

    queryset = Product.objects.order_by("sku", "pk")
    merchant_path = "connection__merchant"
    serializer_class = ProductSerializer
    filterset_class = ProductFilter
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def get_queryset(self) -> QuerySet[Product]:
        rows = super().get_queryset()
        return rows if self.request.method in ("GET", "HEAD") else rows.select_related("connection")

    @extend_schema(responses={200: ProductSerializer, 409: ProblemSerializer})
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.check_changeable(self.get_object())
        return super().partial_update(request, *args, **kwargs)

    @extend_schema(responses={204: None, 409: ProblemSerializer})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Marks the product as deleted, so that those who follow changes learn of it."""
        return super().destroy(request, *args, **kwargs)

    def perform_destroy(self, instance: Product) -> None:
        self.check_changeable(instance)
        instance.deleted = True
        instance.version += 1
        instance.save(update_fields=["deleted", "version", "updated_at"])

    @staticmethod
    def check_changeable(product: Product) -> None:
        if not product.connection.is_in_hub:
            raise Conflict(f"The products of {product.connection} are edited in its own system.")
        if product.deleted:
            raise Conflict("This product was deleted.")


class CustomerSerializer(HubSerializer):
    display_name = serializers.CharField(read_only=True)
    ship_to = AddressSerializer(read_only=True)
    bill_to = AddressSerializer(read_only=True)

    class Meta:
        model = Customer
        fields = [
            "id",
            "connection",
            "external_id",
            "code",
            "display_name",
            "first_name",
            "last_name",
            "company",
            "email",
            "phone",
            "ship_to",
            "bill_to",
            "is_walk_in",
            "deleted",
            "survivor",
            "updated_at",
        ]
        read_only_fields = fields


class CustomerFilter(django_filters.FilterSet):
    connection = IdFilter()
    external_id = django_filters.CharFilter()
    code = django_filters.CharFilter()
    email = django_filters.CharFilter(lookup_expr="iexact")
    updated_since = MomentFilter(field_name="updated_at", lookup_expr="gte")
    deleted = django_filters.BooleanFilter()


class CustomerViewSet(MerchantScopedMixin, viewsets.ReadOnlyModelViewSet):
    """Customers of all carts, kept in step by their feeds."""

    queryset = Customer.objects.order_by("pk")
    merchant_path = "connection__merchant"
    serializer_class = CustomerSerializer
    filterset_class = CustomerFilter
