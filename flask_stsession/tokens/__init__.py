"""Access tokens: parse them, and verify that they are genuine."""
