"""Migrations of the tables of detection."""
