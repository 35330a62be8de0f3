"""The merchant's world: merchants, connections, catalogue, orders, stock and alerts."""
