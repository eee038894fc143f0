"""Assignment requests: a preview, a second person's approval, and what became of each device."""
