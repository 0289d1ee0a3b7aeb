"""Strategies side by side: runs on equal budgets, tables, ranks and statistics."""
