"""Tryton, a self-hosted ERP, as a warehouse."""
