"""The remote world: records, ports and one package per remote system. Knows no database and no Django model."""
