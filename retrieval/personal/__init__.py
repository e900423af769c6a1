"""Personal data in texts: found by shape and check digits, counted or replaced. It knows no store and no file."""
