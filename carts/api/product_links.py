"""Product links: which article of the warehouse each product of a shop is."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from carts.api.errors import Conflict, ProblemSerializer
from carts.api.fields import HubSerializer
from carts.api.filters import IdFilter, MomentFilter
from carts.api.scoping import MerchantScopedMixin, ScopedRelatedField
from carts.models import Product, ShopProduct, StockMatch
from carts.models.catalogue import sku_key
from carts.order_history import TransitionRefused
from carts.product_links import MATCHED, link, shown_sku, unlink


class ProductLinkSerializer(HubSerializer):
    """A product of a shop, and the article that it is at the cart's warehouse."""

    cart = serializers.IntegerField(source="connection_id", read_only=True)
    match = serializers.ChoiceField(StockMatch.choices, source="stock_match", read_only=True)
    warehouse_sku = serializers.SerializerMethodField(help_text="Empty where no article was found.")
    since = serializers.DateTimeField(source="stock_match_at", read_only=True, allow_null=True)

    class Meta:
        model = ShopProduct
        fields = ["id", "cart", "external_id", "sku", "name", "handle", "barcode", "match", "warehouse_sku", "since"]
        read_only_fields = fields

    @extend_schema_field(str)
    def get_warehouse_sku(self, product: ShopProduct) -> str:
        return shown_sku(product)


class NewLinkSerializer(serializers.Serializer):
    product = ScopedRelatedField(
        queryset=ShopProduct.objects.all(),
        merchant_path="connection__merchant",
        help_text="The shop's product: the id of a product link.",
    )
    article = ScopedRelatedField(
        queryset=Product.objects.filter(deleted=False),
        merchant_path="connection__merchant",
        help_text="The id of a product of the cart's warehouse.",
    )


class ProductLinkFilter(django_filters.FilterSet):
    cart = IdFilter(field_name="connection")
    match = django_filters.ChoiceFilter(field_name="stock_match", choices=StockMatch.choices)
    matched = django_filters.BooleanFilter(method="is_matched", label="Was an article found?")
    sku = django_filters.CharFilter(method="with_sku", label="The shop's SKU, upper and lower case alike.")
    warehouse_sku = django_filters.CharFilter(method="with_warehouse_sku", label="The warehouse's SKU.")
    since = MomentFilter(field_name="stock_match_at", lookup_expr="gte")

    def is_matched(self, rows: QuerySet[ShopProduct], name: str, wanted: bool) -> QuerySet[ShopProduct]:
        return rows.filter(stock_match__in=MATCHED) if wanted else rows.exclude(stock_match__in=MATCHED)

    def with_sku(self, rows: QuerySet[ShopProduct], name: str, sku: str) -> QuerySet[ShopProduct]:
        return rows.filter(sku_key=sku_key(sku))

    def with_warehouse_sku(self, rows: QuerySet[ShopProduct], name: str, sku: str) -> QuerySet[ShopProduct]:
        return rows.filter(stock_key=sku_key(sku), stock_match__in=MATCHED)


class ProductLinkViewSet(
    MerchantScopedMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet
):
    """The products of all carts with the articles that they are at their warehouses. An id here is the id of the shop's
    product."""

    queryset = ShopProduct.objects.order_by("sku", "pk")
    merchant_path = "connection__merchant"
    serializer_class = ProductLinkSerializer
    filterset_class = ProductLinkFilter

    @extend_schema(request=NewLinkSerializer, responses={201: ProductLinkSerializer, 409: ProblemSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Links by hand. Other links of the product and of the article end."""
        given = NewLinkSerializer(data=request.data, context=self.get_serializer_context())
        given.is_valid(raise_exception=True)
        try:
            product = link(given.validated_data["product"].pk, given.validated_data["article"].pk)
        except TransitionRefused as refusal:
            raise Conflict(str(refusal)) from None
        linked = ShopProduct.objects.get(pk=product.pk)
        return Response(self.get_serializer(linked).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None, 409: ProblemSerializer})
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Ends the product's link; from now on its SKU decides again."""
        try:
            unlink(self.get_object().pk)
        except TransitionRefused as refusal:
            raise Conflict(str(refusal)) from None
        return Response(status=status.HTTP_204_NO_CONTENT)
