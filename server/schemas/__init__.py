"""The wire in pydantic models: what requests may say, and what responses look like."""
