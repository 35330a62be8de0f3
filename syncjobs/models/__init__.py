from syncjobs.models.calls import ApiCall, ApiCallBody
from syncjobs.models.deliveries import Delivery, DeliveryAttempt
from syncjobs.models.failures import FailedRecord
from syncjobs.models.inbox import ConsignmentHint, WebhookEvent
from syncjobs.models.latency import LatencyCount, LatencyCursor
from syncjobs.models.reconciliation import Mismatch, Reconciliation
from syncjobs.models.runs import Run, Schedule
from syncjobs.models.wms_webhooks import WmsWebhook, WmsWebhookAttempt
from syncjobs.models.workers import DrainSlot, RateBudget, WorkerProcess

__all__ = [
    "ApiCall",
    "ApiCallBody",
    "ConsignmentHint",
    "Delivery",
    "DeliveryAttempt",
    "DrainSlot",
    "FailedRecord",
    "LatencyCount",
    "LatencyCursor",
    "Mismatch",
    "RateBudget",
    "Reconciliation",
    "Run",
    "Schedule",
    "WebhookEvent",
    "WmsWebhook",
    "WmsWebhookAttempt",
    "WorkerProcess",
]
