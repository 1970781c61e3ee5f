"""The security log page of the admin (guide, "Role-Based Access Control"): who did what, for those who may see it."""
