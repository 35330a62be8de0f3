"""From the cart's page to Vend's consent page and back, with everything that can go wrong, in words."""

from __future__ import annotations

import hashlib
import hmac
import html
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from carts import authorization
from carts.models import Alert, Authorization, Cart, Connection
from carts.remote import open_connector
from carts.setup import SetupErrors, check_settings
from connectors.vend.sandbox import VendSandbox
from syncjobs.models import ApiCallBody
from tests.admin.worlds import SECRET, Shop, make_user
from tests.factories import make_merchant

APP = {"client_id": "hub-app", "client_secret": "client-secret-nobody-may-see"}
CALLBACK = "/oauth/callback/"


@pytest.fixture
def sandbox(transactional_db: None, settings: Any) -> Iterator[VendSandbox]:
    with VendSandbox(outlets=1, sales=0, products=3, customers=1) as sandbox:
        settings.EXTRA_HOSTS = frozenset({sandbox.host})
        sandbox.oauth.applications = {APP["client_id"]: APP["client_secret"]}
        yield sandbox


@pytest.fixture
def cart(sandbox: VendSandbox, shop: Shop) -> Cart:
    options = {"vend_url": sandbox.url, "outlet_name": sandbox.store.outlets[0]["name"]}
    Connection.objects.filter(pk=shop.cart.pk).update(options=options, credentials=APP)
    return Cart.objects.get(pk=shop.cart.pk)


def page_url(cart: Cart) -> str:
    return reverse("admin:carts_cart_change", args=[cart.pk])


def begin(client: Client, cart: Cart) -> Any:
    return client.post(reverse("admin:carts_cart_authorise", args=[cart.pk]))


def consent_url(answer: Any) -> str:
    found = re.search(r'href="(http[^"]+/connect\?[^"]+)"', answer.content.decode())
    assert found is not None
    return html.unescape(found[1])


def agree(url: str) -> str:
    """What the person's browser is sent back with."""
    answer = requests.get(url, allow_redirects=False, timeout=5)
    assert answer.status_code == 302, answer.text
    target = urlsplit(answer.headers["Location"])
    assert target.path == CALLBACK
    return f"{target.path}?{target.query}"


def words(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


class TestTheWay:
    def test_there_and_back(self, cart: Cart, member: Client, sandbox: VendSandbox) -> None:
        page = member.get(page_url(cart)).content.decode()
        assert ">Authorise</button>" in page.replace("key</span>", "") and "not given yet" in page
        began = begin(member, cart)
        text = began.content.decode()
        assert began.status_code == 200 and "sales:read" in text and "downloading orders" in text
        assert APP["client_secret"] not in text
        answer = member.get(agree(consent_url(began)))
        assert answer["Location"] == page_url(cart) + "#test"
        assert "is authorised, and the test passed" in words(answer)
        shown = member.get(page_url(cart)).content.decode()
        assert "Authorise again" in shown and "given by member" in shown and "Everything is granted" in shown
        stored = Authorization.objects.get(merchant=cart.merchant)
        assert "AT-" not in stored.tokens
        connector: Any = open_connector(cart)
        assert connector.client.retailer()

    def test_no_secret_is_shown_or_logged(self, cart: Cart, member: Client, caplog: pytest.LogCaptureFixture) -> None:
        back = agree(consent_url(begin(member, cart)))
        code = parse_qs(urlsplit(back).query)["code"][0]
        member.get(back)
        connector: Any = open_connector(cart)
        tokens = connector.keeper.current()
        kept = "".join(
            f"{body.request_headers}{body.request_text}{body.response_text}" for body in ApiCallBody.objects.all()
        )
        assert "grant_type=authorization_code" in kept
        pages = [page_url(cart), reverse("admin:carts_cart_settings", args=[cart.pk])]
        shown = "".join(member.get(url).content.decode() for url in pages) + caplog.text
        for secret in (code, tokens.access_token, tokens.refresh_token, APP["client_secret"]):
            assert secret not in kept
            assert secret not in shown

    def test_again_closes_the_alert(self, cart: Cart, member: Client, sandbox: VendSandbox) -> None:
        member.get(agree(consent_url(begin(member, cart))))
        sandbox.oauth.revoke_all()
        Alert.objects.create(
            merchant=cart.merchant, connection=cart, kind="authentication", key="x", message="gone", link=page_url(cart)
        )
        member.get(agree(consent_url(begin(member, cart))))
        assert Alert.objects.get(kind="authentication").status == Alert.Status.RESOLVED

    def test_a_failed_test_is_told(self, cart: Cart, member: Client, sandbox: VendSandbox) -> None:
        Connection.objects.filter(pk=cart.pk).update(options={**cart.options, "outlet_name": "Moon"})
        answer = member.get(agree(consent_url(begin(member, cart))))
        assert "is authorised. The test found problems" in words(answer)

    def test_a_personal_token_works_until_the_app_does(self, cart: Cart, member: Client, sandbox: VendSandbox) -> None:
        Connection.objects.filter(pk=cart.pk).update(credentials={**APP, "access_token": sandbox.token})
        url = agree(consent_url(begin(member, cart)))
        assert Cart.objects.get(pk=cart.pk).read_credentials()["access_token"] == sandbox.token
        member.get(url)
        assert Cart.objects.get(pk=cart.pk).read_credentials()["access_token"] == ""


class TestTheState:
    def test_it_is_good_once(self, cart: Cart, member: Client) -> None:
        back = agree(consent_url(begin(member, cart)))
        member.get(back)
        answer = member.get(back)
        assert "does not belong to an authorisation that you began here" in words(answer)
        assert answer["Location"] == "/admin/"

    def test_it_is_good_for_ten_minutes(self, cart: Cart, member: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        back = agree(consent_url(begin(member, cart)))
        monkeypatch.setattr(authorization, "STATE_SECONDS", -1)
        assert "last ten minutes" in words(member.get(back))
        assert not Authorization.objects.exists()

    @pytest.mark.parametrize("state", ["", "guessed-by-someone"])
    def test_it_must_be_ours(self, cart: Cart, member: Client, state: str) -> None:
        begin(member, cart)
        answer = member.get(f"{CALLBACK}?{urlencode({'code': 'code-x', 'state': state})}")
        assert "does not belong" in words(answer)
        assert not Authorization.objects.exists()

    def test_it_is_of_one_session(
        self, cart: Cart, member: Client, shop: Shop, log_in: Callable[[Any], Client]
    ) -> None:
        """Nobody can make a colleague's browser finish what he began."""
        back = agree(consent_url(begin(member, cart)))
        colleague = log_in(make_user("colleague", shop.merchant))
        assert "does not belong" in words(colleague.get(back))
        assert not Authorization.objects.exists()

    def test_several_may_be_under_way(self, cart: Cart, member: Client) -> None:
        urls = [consent_url(begin(member, cart)) for _ in range(7)]
        assert len({parse_qs(urlsplit(url).query)["state"][0] for url in urls}) == 7
        assert len(member.session[authorization.SESSION_KEY]) == 5
        assert "does not belong" in words(member.get(agree(urls[0])))
        assert "is authorised" in words(member.get(agree(urls[4])))


class TestTrouble:
    def test_the_person_says_no(self, cart: Cart, member: Client, sandbox: VendSandbox) -> None:
        sandbox.oauth.refuse_next = True
        answer = member.get(agree(consent_url(begin(member, cart))))
        assert "The access was not granted" in words(answer)
        assert answer["Location"].startswith(page_url(cart)), "the state does not come back with a refusal"

    def test_another_error(self, cart: Cart, member: Client) -> None:
        text = words(member.get(f"{CALLBACK}?error=server_error&error_description=Try+later"))
        assert "refused the authorisation: Try later" in text

    def test_no_code(self, cart: Cart, member: Client) -> None:
        state = parse_qs(urlsplit(consent_url(begin(member, cart))).query)["state"][0]
        assert "sent no code" in words(member.get(f"{CALLBACK}?state={state}"))

    def test_a_wrong_secret(self, cart: Cart, member: Client, sandbox: VendSandbox) -> None:
        url = consent_url(begin(member, cart))
        sandbox.oauth.applications = {APP["client_id"]: "changed"}
        assert "Compare Client ID and Client Secret" in words(member.get(agree(url)))
        assert not Authorization.objects.exists()

    def test_vend_is_away(self, cart: Cart, member: Client, sandbox: VendSandbox) -> None:
        back = agree(consent_url(begin(member, cart)))
        sandbox.stop()
        assert "cannot be reached" in words(member.get(back))

    def test_the_cart_is_gone(self, cart: Cart, member: Client, shop: Shop) -> None:
        back = agree(consent_url(begin(member, cart)))
        Connection.objects.filter(pk=cart.pk).update(merchant=make_merchant())
        assert "does not exist any more" in words(member.get(back))
        assert not Authorization.objects.exists()

    def test_the_stored_credentials_cannot_be_read(self, cart: Cart, member: Client) -> None:
        Connection.objects.filter(pk=cart.pk).update(credentials="unreadable")
        assert member.get(page_url(cart)).status_code == 200
        assert "cannot be read" in words(begin(member, cart))

    def test_no_app_no_button(self, cart: Cart, member: Client) -> None:
        Connection.objects.filter(pk=cart.pk).update(credentials={"access_token": SECRET})
        assert "Authorise" not in member.get(page_url(cart)).content.decode()
        assert "No app is set up" in words(begin(member, cart))

    def test_what_cannot_be_authorised_leads_to_its_page(self, cart: Cart, member: Client) -> None:
        Connection.objects.filter(pk=cart.pk).update(credentials={"access_token": SECRET})
        answer = member.get(reverse("admin:carts_cart_authorise", args=[cart.pk]))
        assert answer["Location"] == page_url(cart)

    def test_a_system_without_oauth(self, shop: Shop, member: Client) -> None:
        answer = member.post(reverse("admin:carts_warehouse_authorise", args=[shop.warehouse.pk]))
        assert "no such thing as an authorisation" in words(answer)


class TestWho:
    def test_strangers(self, cart: Cart) -> None:
        assert "/admin/login/" in begin(Client(), cart)["Location"]
        answer = Client().get(f"{CALLBACK}?code=secret-code&state=x")
        assert "/admin/login/" in answer["Location"] and "secret-code" not in answer["Location"]

    def test_people_of_another_merchant(self, cart: Cart, other_shop: Shop, log_in: Callable[[Any], Client]) -> None:
        foreigner = log_in(make_user("foreigner", other_shop.merchant))
        assert begin(foreigner, cart).status_code == 404

    def test_looking_begins_nothing(self, cart: Cart, member: Client) -> None:
        answer = member.get(reverse("admin:carts_cart_authorise", args=[cart.pk]))
        assert ">Authorise</button>" in answer.content.decode().replace("key</span>", "")
        assert authorization.SESSION_KEY not in member.session
        assert member.post(CALLBACK).status_code == 405


class TestTheOperatorsApp:
    """One app for all merchants, from the environment."""

    @pytest.fixture(autouse=True)
    def app(self, settings: Any) -> None:
        settings.OPERATORS_APPS = {"vend": APP}

    def test_a_cart_needs_no_credentials(self, cart: Cart, member: Client) -> None:
        _, credentials = check_settings(cart.connector_class, cart.options, {}, {})
        assert set(credentials.values()) == {""}, "the operator's secret stays the operator's"
        Connection.objects.filter(pk=cart.pk).update(credentials=credentials)
        assert "is authorised, and the test passed" in words(member.get(agree(consent_url(begin(member, cart)))))

    def test_an_own_app_comes_first(self, cart: Cart) -> None:
        own = {"client_id": "own", "client_secret": "own-secret"}
        Connection.objects.filter(pk=cart.pk).update(credentials=own)
        connector: Any = open_connector(Cart.objects.get(pk=cart.pk))
        assert connector.credentials.client_secret == "own-secret"
        _, credentials = check_settings(cart.connector_class, cart.options, own, {})
        assert credentials["client_secret"] == "own-secret"

    def test_without_it_something_must_be_entered(self, cart: Cart, settings: Any) -> None:
        settings.OPERATORS_APPS = {}
        with pytest.raises(SetupErrors):
            check_settings(cart.connector_class, cart.options, {}, {})

    def test_its_secret_signs_the_webhooks(self, cart: Cart) -> None:
        Connection.objects.filter(pk=cart.pk).update(credentials={"access_token": ""})
        url, body = f"/webhooks/{cart.uuid}/{cart.webhook_secret}/", b"payload=%7B%22id%22%3A%221%22%7D"
        signature = hmac.new(APP["client_secret"].encode(), body, hashlib.sha256).hexdigest()
        for given, status in ((signature, 200), ("0" * 64, 400)):
            answer = Client().post(
                url,
                body,
                content_type="application/x-www-form-urlencoded",
                headers={"X-Signature": f"signature={given},algorithm=HMAC-SHA256"},
            )
            assert answer.status_code == status


def test_the_form_keeps_what_is_stored(cart: Cart, member: Client, shop: Shop) -> None:
    url = reverse("admin:carts_cart_settings", args=[cart.pk])
    text = member.get(url).content.decode()
    assert 'value="hub-app"' in text and APP["client_secret"] not in text
    form = {"name": "Renamed", "options__vend_url": cart.options["vend_url"], "credentials__client_id": "hub-app"}
    form |= {name: value for name, value in default_choices(cart).items() if name not in form}
    answer = member.post(url, form)
    assert answer.status_code == 302, answer.content.decode()
    saved = Cart.objects.get(pk=cart.pk)
    assert saved.name == "Renamed"
    assert {name: saved.read_credentials()[name] for name in APP} == APP


def default_choices(cart: Cart) -> dict[str, str]:
    fields = cart.connector_class.Options.fields()
    return {f"options__{field.name}": str(field.default) for field in fields if field.choices}
