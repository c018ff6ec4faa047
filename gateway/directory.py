"""Who the authorities are: names, numbers, addresses, as the accounts table has them."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.db import accounts
from gateway.db.accounts import Authority
from gateway.db.core import Database
from gateway.domain.names import AuthorityCode, Owner, authority_owner
from gateway.errors import NotFoundError
from gateway.validation.validate import AuthorityNumbers


class Directory:
    """Looks authorities up."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def codes(self) -> list[AuthorityCode]:
        """Return every authority's slug."""
        return [one.code for one in self._all()]

    def names(self) -> Mapping[AuthorityCode, str]:
        """Return full names by slug."""
        return {one.code: one.name for one in self._all()}

    def name(self, authority: AuthorityCode) -> str:
        """Return an authority's full name."""
        return self.get(authority).name

    def numbers(self, authority: AuthorityCode) -> AuthorityNumbers:
        """Return the numbers that an authority's files must carry."""
        found = self.get(authority)
        return AuthorityNumbers(dfe_number=found.dfe_number, gss_code=found.gss_code, liia_code=found.liia_code)

    def emails(self) -> Mapping[Owner, str]:
        """Return mail addresses by owner, of those that have one."""
        return {authority_owner(one.code): one.contact_email for one in self._all() if one.contact_email}

    def get(self, authority: str) -> Authority:
        """Return one authority.

        Raises:
            NotFoundError: there is none of this slug.
        """
        found = next((one for one in self._all() if one.code == authority), None)
        if found is None:
            raise NotFoundError(f"There is no authority {authority[:60]!r}.", remedy="Run `gateway authority list`.")
        return found

    def _all(self) -> list[Authority]:
        with self._database.read() as connection:
            return list(accounts.list_authorities(connection))
