"""The merchant's world over REST: serializers and view sets, split by subject."""
