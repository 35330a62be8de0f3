"""Forms of the admin's own pages."""
