-- Rights: CONTROL on the database. Takes back what a user was given in the whole of it.
REVOKE $permissions FROM $user
