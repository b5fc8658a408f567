"""What people look at: counts, tables, results files and progress; all drawn from the ledger."""
