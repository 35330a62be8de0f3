"""What a test of a connection found, as JSON."""

from __future__ import annotations

from rest_framework import serializers


class TestStepSerializer(serializers.Serializer):
    name = serializers.CharField()
    ok = serializers.BooleanField()
    message = serializers.CharField()
    help = serializers.CharField(help_text="What to do when the step failed.")


class TestReportSerializer(serializers.Serializer):
    """What a test of a connection found, step by step."""

    ok = serializers.BooleanField()
    steps = TestStepSerializer(many=True)
