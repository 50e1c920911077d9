"""A place in a list of tokens: look, take, insist.

Holds the words that Transact-SQL reserves, which is what tells an alias from the next clause. Every refusal of a token is made here, as SQL Server
words it: 156 near a reserved word, 102 near anything else.
"""

from __future__ import annotations

from lpmops.sandbox.sql import errors
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.lexer import END, INTEGER, OPERATOR, QUOTED, VARIABLE, WORD, Token, tokenize

RESERVED = frozenset(
    """ADD ALL ALTER AND ANY AS ASC AUTHORIZATION BACKUP BEGIN BETWEEN BREAK BROWSE BULK BY CASCADE CASE CHECK CHECKPOINT CLOSE CLUSTERED COALESCE
    COLLATE COLUMN COMMIT COMPUTE CONSTRAINT CONTAINS CONTAINSTABLE CONTINUE CONVERT CREATE CROSS CURRENT CURRENT_DATE CURRENT_TIME
    CURRENT_TIMESTAMP CURRENT_USER CURSOR DATABASE DBCC DEALLOCATE DECLARE DEFAULT DELETE DENY DESC DISK DISTINCT DISTRIBUTED DOUBLE DROP DUMP ELSE
    END ERRLVL ESCAPE EXCEPT EXEC EXECUTE EXISTS EXIT EXTERNAL FETCH FILE FILLFACTOR FOR FOREIGN FREETEXT FREETEXTTABLE FROM FULL FUNCTION GOTO
    GRANT GROUP HAVING HOLDLOCK IDENTITY IDENTITY_INSERT IDENTITYCOL IF IN INDEX INNER INSERT INTERSECT INTO IS JOIN KEY KILL LEFT LIKE LINENO LOAD
    MERGE NATIONAL NOCHECK NONCLUSTERED NOT NULL NULLIF OF OFF OFFSETS ON OPEN OPENDATASOURCE OPENQUERY OPENROWSET OPENXML OPTION OR ORDER OUTER
    OVER PERCENT PIVOT PLAN PRIMARY PRINT PROC PROCEDURE PUBLIC RAISERROR READ READTEXT RECONFIGURE REFERENCES REPLICATION RESTORE
    RESTRICT RETURN REVERT REVOKE RIGHT ROLLBACK ROWCOUNT ROWGUIDCOL RULE SAVE SCHEMA SECURITYAUDIT SELECT SESSION_USER SET SETUSER SHUTDOWN SOME
    STATISTICS SYSTEM_USER TABLE TABLESAMPLE TEXTSIZE THEN TO TOP TRAN TRANSACTION TRIGGER TRUNCATE TRY_CONVERT TSEQUAL UNION UNIQUE UNPIVOT
    UPDATE UPDATETEXT USE USER VALUES VARYING VIEW WAITFOR WHEN WHERE WHILE WITH WITHIN WRITETEXT""".split()
)


class Cursor:
    """The tokens of one text and how far they have been read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = tokenize(text)
        self._at = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        """The token at hand."""
        return self._tokens[self._at]

    @property
    def line(self) -> int:
        """The line of the token at hand."""
        return self._tokens[self._at].line

    @property
    def at_end(self) -> bool:
        """Whether all has been read."""
        return self._tokens[self._at].kind == END

    @property
    def position(self) -> int:
        """Where in the text the token at hand starts."""
        return self._tokens[self._at].start

    @property
    def read_to(self) -> int:
        """Where in the text the token before ends."""
        return self._tokens[self._at - 1].end if self._at else 0

    def ahead(self, count: int = 1) -> Token:
        """A token further on."""
        return self._tokens[min(self._at + count, len(self._tokens) - 1)]

    def take(self) -> Token:
        """The token at hand, passed over."""
        token = self._tokens[self._at]
        if token.kind != END:
            self._at += 1
        return token

    def at(self, *words: str) -> bool:
        """Whether the token at hand is one of these unquoted words."""
        return self._tokens[self._at].upper in words if self._tokens[self._at].kind == WORD else False

    def at_words(self, *words: str) -> bool:
        """Whether these words stand here in a row."""
        return all(self.ahead(index).upper == word for index, word in enumerate(words))

    def accept(self, *words: str) -> bool:
        """Pass over one of these words, if it stands here."""
        if self.at(*words):
            self._at += 1
            return True
        return False

    def accept_words(self, *words: str) -> bool:
        """Pass over these words in a row, if they stand here."""
        if self.at_words(*words):
            self._at += len(words)
            return True
        return False

    def expect(self, *words: str) -> str:
        """Pass over one of these words and say which."""
        if not self.at(*words):
            raise self.unexpected()
        return self.take().upper

    def at_operator(self, *operators: str) -> bool:
        """Whether the token at hand is one of these signs."""
        token = self._tokens[self._at]
        return token.kind == OPERATOR and token.text in operators

    def accept_operator(self, *operators: str) -> str:
        """Pass over one of these signs; which, or an empty text."""
        if self.at_operator(*operators):
            return self.take().text
        return ""

    def expect_operator(self, *operators: str) -> str:
        """Pass over one of these signs and say which."""
        if not self.at_operator(*operators):
            raise self.unexpected()
        return self.take().text

    def expect_end(self) -> None:
        """Nothing may follow."""
        if not self.at_end:
            raise self.unexpected()

    @property
    def at_identifier(self) -> bool:
        """Whether a name stands here."""
        token = self._tokens[self._at]
        return token.kind == QUOTED or (token.kind == WORD and token.upper not in RESERVED)

    def identifier(self) -> str:
        """One name, quoted or not; at most 128 characters."""
        if not self.at_identifier:
            raise self.unexpected()
        token = self.take()
        if not token.text:
            raise SqlError(1038, "An object or column name is missing or empty.", 15, 4, token.line)
        if len(token.text) > 128:
            shown = token.text[:128]
            raise SqlError(
                103, f"The identifier that starts with '{shown}' is too long. Maximum length is 128.", 15, 4, token.line
            )
        if token.kind == WORD and token.text.startswith("#"):
            raise errors.unsupported_feature(f"temporary table {token.text}").at_line(token.line)
        return token.text

    def name(self) -> tuple[str, ...]:
        """A name of one to three parts, `schema.table` or `database.schema.table`; a part left out between dots is an empty text."""
        if self.token.kind == VARIABLE:
            raise errors.unsupported_feature(f"table variable {self.token.text}").at_line(self.line)
        parts = [self.identifier()]
        while self.accept_operator("."):
            parts.append("" if self.at_operator(".") else self.identifier())
        if len(parts) > 3:
            raise errors.unsupported_feature("four-part name").at_line(self.line)
        return tuple(parts)

    def expect_variable(self) -> str:
        """@name."""
        if self.token.kind != VARIABLE or self.token.text.startswith("@@"):
            raise self.unexpected()
        return self.take().text

    def expect_integer(self) -> int:
        """A whole number, with an optional sign."""
        sign = -1 if self.accept_operator("-") else 1
        if self.token.kind != INTEGER:
            raise self.unexpected()
        return sign * int(self.take().text)

    def unexpected(self) -> SqlError:
        """The refusal of the token at hand."""
        token = self.token
        if token.kind == END:
            last = self._tokens[self._at - 1] if self._at else token
            return errors.syntax(last.text, last.line)
        if token.kind == WORD and token.upper in RESERVED:
            return errors.keyword(token.text, token.line)
        return errors.syntax(token.text[:128], token.line)

    def enter(self) -> None:
        """One level of nesting deeper. Raises SqlError 191 where SQL Server's own stack would end, as would this one's."""
        self.depth += 1
        if self.depth > 50:
            raise SqlError(
                191,
                "Some part of your SQL statement is nested too deeply. Rewrite the query or break it up into smaller queries.",
                15,
                1,
            )

    def leave(self) -> None:
        """One level up."""
        self.depth -= 1
