"""What happened, in a chain of records that shows if one was changed, removed or put elsewhere."""
