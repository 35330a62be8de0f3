"""Schedules (when, and how far a feed was read) and runs (the queue and the history in one table)."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef, Q

from carts.models import Connection, FunctionSetting
from connectors.functions import Function, Lane

FUNCTION_CHOICES = [(function.value, function.label) for function in Function]

# Kinds of "error" of a run that is not in trouble: it waits for another function; an equal run does its work.
WAITING = "waiting"
SUPERSEDED = "superseded"


class Schedule(models.Model):
    """The moving part of a ``FunctionSetting``: next run, cursor, back-off."""

    setting = models.OneToOneField(FunctionSetting, on_delete=models.CASCADE, related_name="schedule")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="schedules")
    function = models.CharField(max_length=40, choices=FUNCTION_CHOICES)
    next_run_at = models.DateTimeField(db_index=True)
    cursor = models.TextField(blank=True, default="")
    failures = models.PositiveIntegerField(default=0)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, default="")
    # Set while a person holds the feed (``syncjobs.pausing``): nobody reads it, and the cursor stays.
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "function"], name="schedule_is_unique")]
        indexes = [models.Index(fields=["connection"], condition=Q(paused_at__isnull=False), name="schedule_paused")]

    def __str__(self) -> str:
        return f"{Function(self.function).label} of {self.connection}"

    @property
    def function_label(self) -> str:
        return Function(self.function).label


def feed_is_paused() -> Exists:
    """For a query of runs: does a person hold the feed that they read?"""
    held = Schedule.objects.filter(
        connection=OuterRef("connection"), function=OuterRef("feed"), paused_at__isnull=False
    )
    return Exists(held)


class Run(models.Model):
    """One run of one function for one connection: waiting, running or history.

    ``feed`` names what must not be read by two runners at once (law 6): usually the function itself; functions that
    ride on the same feed share it. The database allows one running run per (connection, feed).
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        PAUSED = "paused", "Paused"
        CANCELLED = "cancelled", "Cancelled"

    class Trigger(models.TextChoices):
        SCHEDULE = "schedule", "Schedule"
        PERSON = "person", "Person"
        API = "api", "REST client"
        WEBHOOK = "webhook", "Webhook"
        HUB = "hub", "Hub"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="runs", db_index=False)
    function = models.CharField(max_length=40, choices=FUNCTION_CHOICES)
    feed = models.CharField(max_length=40)
    lane = models.CharField(max_length=12, choices=[(lane.value, lane.value.title()) for lane in Lane])
    trigger = models.CharField(max_length=10, choices=Trigger.choices)
    requested_by = models.CharField(max_length=150, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    full = models.BooleanField(default=False)
    dry_run = models.BooleanField(default=False)
    run_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    lease_owner = models.CharField(max_length=64, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    queued_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    pages = models.PositiveIntegerField(default=0)
    # How much of the feed was read, in how many seconds of work, and from when until when it was changed in the remote,
    # as far as the remote says: what the progress of a long load is judged by.
    records = models.PositiveIntegerField(default=0)
    worked_seconds = models.FloatField(default=0.0)
    changes_from = models.DateTimeField(null=True, blank=True)
    changes_until = models.DateTimeField(null=True, blank=True)
    counts = models.JSONField(default=dict, blank=True)
    cursor_before = models.TextField(blank=True, default="")
    cursor_after = models.TextField(blank=True, default="")
    # A full pass reads by a cursor of its own, so that the schedule's cursor never goes back.
    position = models.TextField(blank=True, default="")
    error_kind = models.CharField(max_length=40, blank=True, default="")
    error = models.TextField(blank=True, default="")
    fix = models.TextField(blank=True, default="")
    preview = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "feed"], condition=Q(state="running"), name="one_runner_per_feed"
            ),
            models.UniqueConstraint(
                fields=["connection", "function", "full", "dry_run"],
                condition=Q(state__in=["queued", "paused"]),
                name="one_waiting_run_per_function",
            ),
        ]
        indexes = [
            models.Index(fields=["lane", "run_at"], condition=Q(state="queued"), name="run_queue"),
            models.Index(fields=["lease_until"], condition=Q(state="running"), name="run_leases"),
            models.Index(fields=["connection", "-id"], name="run_history"),
            models.Index(fields=["queued_at"], name="run_age"),
        ]

    def __str__(self) -> str:
        return f"{Function(self.function).label} of {self.connection}"

    def count(self, **more: int) -> None:
        """Adds to the run's counts; zeros are left out."""
        counts: dict[str, Any] = dict(self.counts)
        for name, number in more.items():
            if number:
                counts[name] = counts.get(name, 0) + number
        self.counts = counts

    @property
    def function_label(self) -> str:
        return Function(self.function).label

    def locked_pause(self) -> Schedule | None:
        """The schedule of this run's feed while a person holds it, locked until the transaction ends: nobody continues
        in between."""
        if self.dry_run:
            return None
        held = Schedule.objects.filter(connection_id=self.connection_id, function=self.feed, paused_at__isnull=False)
        return held.select_for_update().first()
