"""Identity: who somebody is, what they may do, and what the house may do with what it knows of
them.

Words: a *person* is a guest, a buyer or staff; a *guest* is a person who became nobody yet and
keeps what is theirs (a cart) when they become somebody; a *session* is a browser that is
recognised; a *key* is a program that is; a *caller* is who asks now. A *proof* shows that somebody
is who they say.

Promises: only hashes of secrets are stored; personal fields that need not be searched are sealed;
every column with personal data is declared with purpose and retention (``data_map``); consent is a
ledger that is only added to; whoever is erased is nameless everywhere while the books stay as they
are.
"""

from pinwheel.ground.identity.accounts import (
    appoint,
    end_other_sessions,
    end_sessions,
    guest_of,
    hashed,
    keep,
    prove_code,
    prove_password,
    register,
    rename,
    request_code,
    set_password,
    sign_in,
)
from pinwheel.ground.identity.addresses import (
    add_address,
    make_default,
    make_key,
    remove_address,
    revoke_key,
)
from pinwheel.ground.identity.model import (
    ROLE_SCOPES,
    Address,
    Caller,
    CodeIssued,
    Consent,
    ConsentChanged,
    GuestJoined,
    GuestsForgotten,
    KeyLine,
    LastOperator,
    NewAddress,
    Person,
    PersonErased,
    PersonRegistered,
    RoleChanged,
    SignedIn,
    normal_email,
)
from pinwheel.ground.identity.privacy import (
    AccessLine,
    Contribution,
    NewBreach,
    access_to,
    erase_person,
    export_person,
    record_access,
    record_breach,
    record_consent,
)
from pinwheel.ground.identity.queries import (
    address_of,
    addresses_of,
    consents_of,
    data_map,
    keys_of,
    letters,
    people,
    people_page,
    person_of,
    person_with_email,
    sessions_of,
    with_consent,
)
from pinwheel.ground.identity.recognise import recognise

__all__ = [
    "ROLE_SCOPES",
    "AccessLine",
    "Address",
    "Caller",
    "CodeIssued",
    "Consent",
    "ConsentChanged",
    "Contribution",
    "GuestJoined",
    "GuestsForgotten",
    "KeyLine",
    "LastOperator",
    "NewAddress",
    "NewBreach",
    "Person",
    "PersonErased",
    "PersonRegistered",
    "RoleChanged",
    "SignedIn",
    "access_to",
    "add_address",
    "address_of",
    "addresses_of",
    "appoint",
    "consents_of",
    "data_map",
    "end_other_sessions",
    "end_sessions",
    "erase_person",
    "export_person",
    "guest_of",
    "hashed",
    "keep",
    "keys_of",
    "letters",
    "make_default",
    "make_key",
    "normal_email",
    "people",
    "people_page",
    "person_of",
    "person_with_email",
    "prove_code",
    "prove_password",
    "recognise",
    "record_access",
    "record_breach",
    "record_consent",
    "register",
    "remove_address",
    "rename",
    "request_code",
    "revoke_key",
    "sessions_of",
    "set_password",
    "sign_in",
    "with_consent",
]
