"""The REST warehouse: a WMS without a connector, which works through the hub's own API."""
