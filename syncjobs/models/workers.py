"""Who works: worker processes, their drain slots, and the rate limits they share."""

from __future__ import annotations

from django.db import models


class WorkerProcess(models.Model):
    """One ``manage.py worker``. Its supervisor beats; a stale one is dead."""

    name = models.CharField(max_length=64, unique=True)
    host = models.CharField(max_length=120)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField(auto_now_add=True)
    beat_at = models.DateTimeField()
    stopping = models.BooleanField(default=False)
    restarts = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class DrainSlot(models.Model):
    """One place of a worker process where work is drained. ``beat_at`` moves while a drain runs in it."""

    worker = models.ForeignKey(WorkerProcess, on_delete=models.CASCADE, related_name="slots")
    name = models.CharField(max_length=80, unique=True)
    urgent_only = models.BooleanField(default=False)
    beat_at = models.DateTimeField(null=True, blank=True)
    called_at = models.DateTimeField(null=True, blank=True)
    doing = models.CharField(max_length=200, blank=True, default="")

    def __str__(self) -> str:
        return self.name


class RateBudget(models.Model):
    """What is known about a rate-limit group, shared by all processes (``connectors.budget.Budget``)."""

    key = models.CharField(max_length=200, primary_key=True)
    limit = models.PositiveIntegerField(null=True, blank=True)
    remaining = models.IntegerField(null=True, blank=True)
    observed_at = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.key
