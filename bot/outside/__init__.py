"""What is told outside Slack: the heartbeat, the webhook, the calendar."""
