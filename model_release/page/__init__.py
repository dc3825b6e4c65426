"""The page of a release: what an approver reads before approving, and an auditor after."""
