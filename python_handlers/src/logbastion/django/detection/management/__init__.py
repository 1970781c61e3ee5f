"""Commands of detection."""
