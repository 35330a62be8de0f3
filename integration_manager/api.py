"""The REST API: one router made of what ``carts`` and ``syncjobs`` offer."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.routers import DefaultRouter

from carts.api.alerts import AlertViewSet
from carts.api.catalogue import CustomerViewSet, ProductViewSet
from carts.api.connectors import ConnectorViewSet
from carts.api.consignments import StockMovementViewSet
from carts.api.pick_orders import PickOrderViewSet
from carts.api.pick_returns import PickReturnViewSet
from carts.api.places import LocationViewSet, OutletViewSet
from carts.api.product_links import ProductLinkViewSet
from carts.api.stock import InventoryViewSet
from syncjobs.api.calls import ApiCallViewSet
from syncjobs.api.connections import CartViewSet, WarehouseViewSet
from syncjobs.api.consignments import ConsignmentViewSet, StockAdjustmentViewSet, StockTransferViewSet
from syncjobs.api.deliveries import DeliveryViewSet
from syncjobs.api.failures import FailedRecordViewSet
from syncjobs.api.inbox import WebhookEventViewSet
from syncjobs.api.orders import OrderViewSet
from syncjobs.api.reconciliation import MismatchViewSet, ReconciliationViewSet
from syncjobs.api.refunds import RefundViewSet
from syncjobs.api.runs import RunViewSet
from syncjobs.api.wms_webhooks import WmsWebhookViewSet

VIEW_SETS = {
    "connectors": ConnectorViewSet,
    "carts": CartViewSet,
    "warehouses": WarehouseViewSet,
    "locations": LocationViewSet,
    "outlets": OutletViewSet,
    "orders": OrderViewSet,
    "refunds": RefundViewSet,
    "pick-orders": PickOrderViewSet,
    "pick-returns": PickReturnViewSet,
    "inventory": InventoryViewSet,
    "stock-movements": StockMovementViewSet,
    "consignments": ConsignmentViewSet,
    "stock-adjustments": StockAdjustmentViewSet,
    "stock-transfers": StockTransferViewSet,
    "products": ProductViewSet,
    "product-links": ProductLinkViewSet,
    "customers": CustomerViewSet,
    "runs": RunViewSet,
    "deliveries": DeliveryViewSet,
    "failed-records": FailedRecordViewSet,
    "reconciliations": ReconciliationViewSet,
    "mismatches": MismatchViewSet,
    "alerts": AlertViewSet,
    "webhook-events": WebhookEventViewSet,
    "wms-webhooks": WmsWebhookViewSet,
    "api-calls": ApiCallViewSet,
}


class ApiRouter(DefaultRouter):
    """The usual routes, and ``PUT`` on a list for what is set many rows at once."""

    include_format_suffixes = False

    def __init__(self) -> None:
        super().__init__()
        list_route, *others = self.routes
        mapping = {**list_route.mapping, "put": "set_levels"}
        self.routes = [list_route._replace(mapping=mapping), *others]


router = ApiRouter()
for prefix, view_set in VIEW_SETS.items():
    router.register(prefix, view_set, basename=prefix)

urlpatterns = [
    # What the API can do is no secret; what is in it needs a token.
    path("schema/", SpectacularAPIView.as_view(permission_classes=[AllowAny]), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="schema", permission_classes=[AllowAny]), name="docs"),
    *router.urls,
]
