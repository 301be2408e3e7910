"""The client of a SuperTokens core."""
