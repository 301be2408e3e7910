"""SuperTokens sessions for Flask."""
