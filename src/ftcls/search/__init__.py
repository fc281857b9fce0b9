"""Many runs of one config: what is tried, in which processes, and what came of it."""
