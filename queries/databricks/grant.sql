-- Rights: MANAGE on the securable, or its ownership. Gives one privilege, for somebody to run who may; lpmops itself asks Unity Catalog's API.
GRANT $privilege ON $kind $name TO $principal
