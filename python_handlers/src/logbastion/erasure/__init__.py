"""The right to erasure (GDPR, Art. 17) and of access (Art. 15) in every copy of the logs."""
