"""What acts at one site: the agent and its drivers. Never imported by `federation`."""
