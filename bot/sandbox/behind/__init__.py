"""Behind the scenes: the switches of both stand-ins and what goes between Slack, bot and Apple."""
