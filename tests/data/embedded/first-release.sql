-- The database of the first release (user_version 1), with one session of alice.
PRAGMA application_id=1937011557;
PRAGMA user_version=1;
BEGIN TRANSACTION;
CREATE TABLE email_tokens (
        token_hash TEXT PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        email TEXT NOT NULL,
        expires_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE role_permissions (
        role TEXT NOT NULL,
        permission TEXT NOT NULL,
        PRIMARY KEY (role, permission)) WITHOUT ROWID;
INSERT INTO "role_permissions" VALUES('editor','write');
CREATE TABLE roles (role TEXT PRIMARY KEY) WITHOUT ROWID;
INSERT INTO "roles" VALUES('editor');
CREATE TABLE secrets (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO "secrets" VALUES('refresh-token-key',X'CB7A14D60F4EA1DC9EFF11B706906834712A40768E8C0110551921908153EBDE');
CREATE TABLE sessions (
        handle TEXT PRIMARY KEY,
        tenant_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        current_hash2 TEXT NOT NULL,
        previous_hash2 TEXT,
        rotated_at INTEGER NOT NULL,
        data_in_jwt TEXT NOT NULL,
        data_in_database TEXT NOT NULL,
        dynamic_key INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "sessions" VALUES('5894b5f9-cd41-4910-91ca-7ac0dd4acb5a','public','alice','ad18b48fe71ac32422a1398ad5cdecbbf1d128b7004a55d3d338078863e732ce',NULL,1800000000000,'{"plan":"gold"}','{}',1,1800000000000,1808640000000);
CREATE TABLE signing_keys (
        kid TEXT PRIMARY KEY,
        dynamic INTEGER NOT NULL,
        private_pem TEXT NOT NULL,
        signs_from INTEGER NOT NULL,
        keep_until INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "signing_keys" VALUES('d-1800000000000',1,'-----BEGIN PRIVATE KEY-----
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQDH7m63X7Ktk6nz
hBJq/FtTAy5XSfUelt1k3NtHGcn8/OIddibb02jpJ69ewU9ypkH4CbGaHuZNaDN2
8xYYxoUD3JdU3OZrsqvF7cBSp/03VgOQtcPHgNFovNMq/616Prqz0mLvppIMkmV2
1LfN/YsMnt3xlUGtbpNYPBm6viXBV9i+TOhOgRUbvXIyvjJforfCHCwyWxkDrJgg
4iQpfB9t7lHelojBFmAvcAP+w1jDFNqyru8ua2HNwXm6MCcopQ5/EodYXlFzuoam
vVnHM+TJvadx8K7rvwrJ3Z+TwGsl/nhlFP57l2BInCHK0STrISMXpWL0vcGL1fKi
CYPcA9nXAgMBAAECggEAV7ZzPF/vs9ckqIE401cDedfbbNA1icYGO0npqbfWtfb7
/JDpW2fUjvWqKpgEkvf92SPnlwYXY75jVbwv5Y6yrI8KlWCUdotccOlthtXMcYp6
5fHYgp4xQRIWUrb5FLiQkHOslBcv2/QeL5QDT4v8hPztwh8JQV1Rp1Q2tYbWaYuq
KtvVHAvDhN8AFohXSDRDeocgrLi0BhN/VfHT3DQXQ9WmdQ0SpIx1QRYjNwz93lrJ
DQoJwgHLXBBF3oriAXEn9yrjr4T34xqqjAFPa7OcaUCiAwAKWR4c7qdj4yUTgXRN
2mY+vn4yOSxjs0RAoYMRyedgQS6z9JcAoNqQnR9bAQKBgQDnrRPzdZ3q/hRdHFR0
0/crpG6yi9pVV2qEvDkxJx/PJSIWrn5K8NekzfBK2PRBfB3MBhYazqf9fsvE+6vv
vW+h7llyWV3dPn80hNg/wHr4lYzO/OmHv32lDYbkObQsIUaCAtreI6R82kNf58fA
Xv2kUd2mjJj789IXl3+OnwXtXwKBgQDc7CEqe/7ysYLb6XaUzBn987M3X1UFyPfO
W9Etk+Ix3rFbblFxFaGC/RsbwTsIE1FPkO6sF9xYgNwLzC+XLzR8TeJMdnLIeOCY
Tjyc1LEoWYqjJRb9WcRoCzkT3iurqDFYH2CCUEiAEjAKr9KnT0aCydR3hcjW8c89
1pV778duiQKBgBXp6iQyMODEbbqs7lQqpIuNPydGUT2XSi0J/MLod3rJgWLx2GJQ
S6V8EUmTIe97xPnCbZ7Vg1BYCQA16fqASangeLd3Ooit26xlEGtfUoJm6u29QH2l
oEXXdLXru14dO6UajgdLCckBgDP3IY7RrV44nCWf0OysEGhI3TjpU88zAoGAJJXC
BEwWc1BsMEjgR1HpeAG0ixXxeYzHZNgVsuuLiOCtFEwXlpeTcKLDq3v7b6HrVDbX
H46wAcQNLLL6qpm5omAveqQe7A4Ae5hxNzONxvXVHKFWxkvoV6aMJDsllj67NTG1
BL+Q0gyxAgQN6YEaVyxfUA/Kq7XNsRrpFGYn66kCgYBHVEGVyg/p/tWiNd4X9IM5
g7yR6T/dE9IStC07xnGL2uiF6swPKYNsXpzSNsXB3XhN8rsIAdWXCydoB8nK1wAn
wEuxzm611J9xpn3GXKaH3nT9/dvUnnU9JEk9vi5xcnjnuwELS/Fuqjr0RM7zkT2C
kZ5YAzsMES6QS8VWn/KUKw==
-----END PRIVATE KEY-----
',1800000000000,1800608400000);
INSERT INTO "signing_keys" VALUES('s-07aebf04-960e-4c74-8120-1fdffb592aae',0,'-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC+3aK0iN8Cm3gW
oD+dQ2P3T6kOfqg5ZxGv8TT7oxB8zSBLwCg923dFa0JyPVyYcNRUQmwFD7xhLXBR
98TYFN1/qdTSLS9+EFO5xXW2PGOkRv4QB6jp5Qh7j8oqCMzbu4PD/lUnQ+dADMZk
hBFiU74Xk4OC8BRjd9sxIKiUC+AdQ4dyZR/gOGf4ZGaa5A+1O4tr56S8ALu54Qg0
FkJMAdt504JbVhcfxxENrU6UVNcLlGu+MVSD0dPNcx9sdAwEBKCPB+zRMJJELYNz
Jwwx6irfwhGztukXpAZ0kXPZ6NZaFpz1lFrsPhjvap2yLMQcUAq06Cke6N08nV2g
WVBWy2pRAgMBAAECggEAU6apr7wpGWhwGmKDXvZxMqvsKRkju3zLyLPLh9nw2PHC
DNEcEfhE7tzSk2UHVxxkQsWVuCYsZt7WUmZoFFgYt+IED1WUcgjP2SSMsaEH/rDK
mtXwlwo1TIo5jXCr8EXfux+VzI67JFw0+0rSn6iaMJULV3DHTszx+TcaC0ClKc1z
6yS2gOa6HYHIPaiv2sZHJf0/I53Laj4Tk56hcAjM05o7+t2mpbrhW93dpduAMtm+
BBf2b2KbDph0YHr9bTjbYxMnfaPlZpaiGK4EkerxJ84Tu4oXZT0ehAxxRA4OjiO/
mgdb7W8JW3NcIVAfBhvix+0OS/k+5XzQpavgHW9qXQKBgQDoFcZwEXcyTBj+LJAD
2LbvbnFoApBqtl4I5gGRvUDgPmBJ8+qCcklCIP4LZs87OqalTxb2+z+Gij1md4Tx
b+fhyH3TcIlbOKzRhJ3zUdfdzZhNnc+71SHUBZFsikfrtGjuqJ7b2M8qk3C8cyq7
t0IhFJY7WUR74mIRitzic1wAgwKBgQDSiIb22G6P10XJSBNYJnBcPnMrirgHJRBP
XuNrbv7mNmMZ12Tda385gU1cS9wGn32QsRfLNdWZCWN0MhuNaHtkkg55hVfoxy1x
tDWuSeWDlVjtYbB/cy9tQYut28vIBP9MA130LpTv0Q5bKoY23RUtbU4abvPCE16C
mUPMvBuJmwKBgAhmYVxFBY9oea8ZZcz91wEreidNkHSMTTL9QClKNELpfwquLVqz
UDt4fjljazS1lrp89lPSHCZ+cmJ3CPTEHBxr6UHx3MbUckzTA/R+jdWVT2HfyFkA
Cc1mtjC7gIbjbLjWmYlTe4wK8hWgBXft1hLkb9uOC5CATRRddkkr67SJAoGBAMMj
qr1YBLqslVGozc1R66mEdOmx7TsqHoEC+ZZVzkwBsz97h1E4Vzcs41CeO7Wj1RXt
H5nKL05nBljoLOOYKW8hdesrLj1jiHqwx2Tht6uMHV4Bwz+OuzHwpBAk/zBJeXyy
Tj6Lgp76Te0wcDCgIQX3H4Kevq9vlpVEjDRTUs7rAoGASg/dCWlB/tBQAGOX4tQb
yqi5zmHgRy6WEYjuzDsaZXQJxgHJQfx0JXunbUtUU2l9zPwxrUPyqwjxOakVsnDX
pzTq6q1jz3jQHQ4w4R9nGoR5NtgGXx5bbipXDSuMalfjwZCnrAk4XLTpgIRZJpzi
9DeZVZrNYzAZlzRbxfz0Vss=
-----END PRIVATE KEY-----
',1800000000000,4611686018427387904);
CREATE TABLE tenants (
        tenant_id TEXT PRIMARY KEY,
        config TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "tenants" VALUES('acme','{"coreConfig":{}}');
INSERT INTO "tenants" VALUES('public','{"emailPasswordEnabled":true,"thirdPartyEnabled":true,"passwordlessEnabled":true}');
CREATE TABLE user_metadata (
        user_id TEXT PRIMARY KEY,
        metadata TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "user_metadata" VALUES('alice','{"theme":"dark"}');
CREATE TABLE user_roles (
        tenant_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        role TEXT NOT NULL,
        PRIMARY KEY (tenant_id, user_id, role)) WITHOUT ROWID;
INSERT INTO "user_roles" VALUES('public','alice','editor');
CREATE TABLE verified_emails (
        user_id TEXT NOT NULL,
        email TEXT NOT NULL,
        PRIMARY KEY (user_id, email)) WITHOUT ROWID;
INSERT INTO "verified_emails" VALUES('alice','alice@example.com');
CREATE INDEX sessions_of_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX users_with_role ON user_roles (role);
CREATE INDEX email_tokens_by_expiry ON email_tokens (expires_at);
COMMIT;
