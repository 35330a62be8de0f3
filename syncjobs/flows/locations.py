"""The locations of a warehouse during its Inventory Pickup: those that its levels name, and now and then its list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from carts.location_list import Changes, switch_off_gone, take_in, take_in_list, tell_about_gone
from carts.models import Location
from connectors.ports import LocationReader
from connectors.records import LevelRecord
from syncjobs.context import RunContext
from syncjobs.models import Run

# How often a warehouse is asked for its list; a person's own run, and a location that is new, make it at once.
LOOK_AGAIN_AFTER = timedelta(hours=1)


class PlacesSeen:
    """What one run sees of the warehouse's locations. ``changes``: what became of them."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.warehouse = context.warehouse
        self.changes = Changes()
        self.seen: set[str] = set()

    def of(self, records: Sequence[LevelRecord]) -> dict[str, Location]:
        """The locations that a page of levels names, and all others, by their ids. One that is new at the warehouse
        appears by itself. One query when none is new; two more for those of which only the levels tell."""
        known = {place.external_id: place for place in self.warehouse.locations.all()}
        told = {record.location_id: record.location_name for record in records}
        fresh = {external_id: name for external_id, name in told.items() if external_id not in self.seen}
        self.seen |= fresh.keys()
        if self.lists_all:
            fresh = {external_id: name for external_id, name in fresh.items() if external_id not in known}
        if fresh:
            self.note(take_in(self.warehouse, fresh))
            known = {place.external_id: place for place in self.warehouse.locations.all()}
        return known

    @property
    def lists_all(self) -> bool:
        connector = self.context.connector
        return isinstance(connector, LocationReader) and connector.lists_all_locations

    def whole_pass_is_over(self, since: datetime) -> None:
        """All levels were told: a location that was in none of them since then is gone."""
        if self.context.connector.lists_all_locations:
            return
        gone = switch_off_gone(self.warehouse, Q(listed_at__lt=since) & ~Q(external_id__in=self.seen))
        self.note(Changes(gone=gone))
        tell_about_gone(self.warehouse)

    def look_at_the_list(self) -> Changes:
        """Reads the warehouse's list where that is due, and says what changed. Costs no query when it is not."""
        connector, run = self.context.connector, self.context.run
        if connector.stores_in_hub or not isinstance(connector, LocationReader) or not self.lists_all:
            return Changes()
        read_at = self.warehouse.locations_read_at
        is_due = read_at is None or read_at < timezone.now() - LOOK_AGAIN_AFTER
        if not (is_due or self.changes.new or run.full or run.trigger == Run.Trigger.PERSON):
            return Changes()
        records = connector.read_locations()
        with self.context.page(None):
            changes = take_in_list(self.warehouse, records)
            self.note(changes)
        return changes

    def note(self, changes: Changes) -> None:
        self.changes += changes
        self.context.run.count(**changes.as_counts())
