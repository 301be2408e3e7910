"""The one place that talks to a SuperTokens core."""
