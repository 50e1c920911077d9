-- Rights: CONTROL on the database. Lets a user do things in the whole of it.
GRANT $permissions TO $user
