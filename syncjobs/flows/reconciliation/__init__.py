"""Reconciliation: what cart, hub and warehouse say of the same orders, the same stock and the same prices, compared.

Nothing is mended here: that is a person's decision (``syncjobs.reconciliation_fixes``). And nothing is called a mismatch
that is merely on its way: what a feed still has to tell, what is being sent, what was never synced.
"""
