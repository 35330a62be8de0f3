"""Getting in: merchants and tokens from the command line, and who is let through."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from carts.models import ApiToken, Cart, Membership, Merchant
from tests.api.conftest import logged_in
from tests.api.worlds import World

CARTS = "/api/v1/carts/"


def last_line(*command: str, **options: object) -> str:
    out = StringIO()
    call_command(*command, stdout=out, **options)
    return out.getvalue().splitlines()[-1]


def get(token: str, scheme: str = "Bearer") -> int:
    return APIClient().get(CARTS, HTTP_AUTHORIZATION=f"{scheme} {token}").status_code


@pytest.mark.django_db
def test_from_nothing_to_a_working_token() -> None:
    slug = last_line("create_merchant", "Queen Street Books")
    token = last_line("create_token", slug)

    assert slug == "queen-street-books"
    assert get(token) == 200
    assert get(token, "bearer") == 200


@pytest.mark.django_db
def test_merchants_of_the_same_name_get_slugs_of_their_own() -> None:
    assert last_line("create_merchant", "Books") != last_line("create_merchant", "Books")


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
def test_a_merchant_needs_a_usable_name(name: str) -> None:
    with pytest.raises(CommandError, match="name"):
        call_command("create_merchant", name)
    assert not Merchant.objects.exists()


def test_a_token_is_kept_as_a_hash_only(merchant: Merchant) -> None:
    secret = last_line("create_token", merchant.slug, "--name", "ERP", "--read-only")
    token = ApiToken.objects.get()

    assert (token.name, token.read_only, token.merchant) == ("ERP", True, merchant)
    assert secret not in str(token.__dict__)


def test_a_token_for_nobody_is_refused_with_the_merchants_there_are(merchant: Merchant) -> None:
    with pytest.raises(CommandError, match=f"no merchant 'nobody'.*{merchant.slug}"):
        call_command("create_token", "nobody")


@pytest.mark.django_db
def test_a_token_before_any_merchant_says_what_to_do() -> None:
    with pytest.raises(CommandError, match="create_merchant"):
        call_command("create_token", "nobody")


def test_a_token_for_a_merchant_that_is_switched_off_is_refused(merchant: Merchant) -> None:
    Merchant.objects.update(is_active=False)
    with pytest.raises(CommandError, match="switched off"):
        call_command("create_token", merchant.slug)


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["", "im_wrong", "two words", "ü", "\x00"])
def test_wrong_tokens_are_refused(token: str) -> None:
    assert get(token) == 401


def test_tokens_work_until_they_or_their_merchant_are_switched_off(merchant: Merchant) -> None:
    token = last_line("create_token", merchant.slug)
    assert get(token) == 200
    assert ApiToken.objects.get().last_used_at is not None

    Merchant.objects.update(is_active=False)
    assert get(token) == 401

    Merchant.objects.update(is_active=True)
    ApiToken.objects.update(is_active=False)
    assert get(token) == 401


def test_people_need_the_pages_secret_to_change_anything(merchant: Merchant) -> None:
    user = User.objects.create_user("ada", is_staff=True)
    Membership.objects.create(user=user, merchant=merchant)
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(user)

    assert browser.get(CARTS).status_code == 200
    assert browser.post(CARTS, {}).status_code == 403


@pytest.mark.django_db
def test_people_without_a_merchant_see_nothing(world: World) -> None:
    assert logged_in(User.objects.create_user("nobody", is_staff=True)).get(CARTS).status_code == 403


def test_the_support_group_sees_every_merchant(world: World, foreign_world: World) -> None:
    user = User.objects.create_user("joan", is_staff=True)
    user.groups.add(Group.objects.create(name="support"))

    seen = {row["id"] for row in logged_in(user).get(CARTS).json()["results"]}

    assert seen == {world[Cart].pk, foreign_world[Cart].pk}
