"""Vend POS, today Lightspeed Retail (X-Series)."""
