"""The routes of products and what they are sorted by. Source: vend.md 3.11."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.sandbox import Refusal, Request, Response, Route
from connectors.vend.sandbox_core import Feed, Record, bad_request, unprocessable
from connectors.vend.sandbox_paging import Pager, is_deleted
from connectors.vend.sandbox_product_requests import create_products, delete_products, update_product
from connectors.vend.sandbox_routes import BOTH, FamilyRoutes, object_of, one_of
from connectors.vend.sandbox_shapes import product_shape

if TYPE_CHECKING:
    from connectors.vend.sandbox import VendSandbox


class ProductRoutes:
    """Products. 0.9 is gone: 410."""

    def __init__(self, sandbox: VendSandbox) -> None:
        self.sandbox = sandbox
        self.store = sandbox.store
        self.pager = Pager(sandbox, self.store.product_feed, "products", self._shape)

    def _shape(self, product: Any, family: str) -> dict[str, Any]:
        return product_shape(product, self.store, family)

    def routes(self) -> FamilyRoutes:
        read, write = "products:read", "products:write"
        yield BOTH, Route("GET", "/products", self.list, read)
        yield BOTH, Route("POST", "/products", self.create, write)
        yield BOTH, Route("GET", "/products/{id}", one_of(self.pager, "product"), read)
        yield "dated 2.1", Route("PUT", "/products/{id}", self.update, write)
        yield BOTH, Route("DELETE", "/products/{id}", self.delete, write)
        yield BOTH, Route("DELETE", "/products/{id}/all", self.delete_family, write)
        for method, template in (
            ("GET", "/products"),
            ("POST", "/products"),
            ("GET", "/products/{id}"),
            ("DELETE", "/products/{id}"),
        ):
            yield "0.9", Route(method, template, gone)

    def list(self, request: Request) -> Response:
        """``sku`` finds by any of the product's codes and ignores every other parameter."""
        if "sku" in request.query:
            wanted = request.first("sku").lower()
            found = [
                product
                for product in self.store.product_feed.since()
                if not is_deleted(product) and wanted in {str(row["code"]).lower() for row in product["product_codes"]}
            ]
            return self.pager.page_of(found, request.family)
        name = request.first("family_name") or request.first("name")
        return self.pager.page(request, (lambda product: product["name"] == name) if name else None)

    def create(self, request: Request) -> Response:
        return self.sandbox.data(create_products(self.store, object_of(request)))

    def update(self, request: Request) -> Response:
        product = update_product(self.store, request.params["id"], object_of(request))
        return self.sandbox.data({"id": product["id"], "version": product["version"]})

    def delete(self, request: Request) -> Response:
        delete_products(self.store, request.params["id"], whole_family=False)
        return Response.json({"status": "success"})

    def delete_family(self, request: Request) -> Response:
        delete_products(self.store, request.params["id"], whole_family=True)
        return Response.json({"status": "success"})


class SortingRoutes:
    """Brands, tags, suppliers, product types and categories, variant attributes, price books."""

    def __init__(self, sandbox: VendSandbox) -> None:
        self.sandbox = sandbox
        self.store = sandbox.store

    def routes(self) -> FamilyRoutes:
        read, write = "products:read", "products:write"
        yield from self._named("brands", "brand", self.store.brand_feed, read, write)
        yield from self._named("tags", "tag", self.store.tag_feed, read, write)
        yield from self._named("suppliers", "supplier", self.store.supplier_feed, "suppliers:read", "suppliers:write")
        types = Pager(self.sandbox, self.store.product_type_feed, "product_types")
        yield BOTH, Route("GET", "/product_types", types.page, read)
        yield BOTH, Route("GET", "/product_types/{id}", one_of(types, "product type"), read)
        yield BOTH, Route("GET", "/product_categories", self.categories, read)
        yield BOTH, Route("POST", "/product_categories/bulk", self.save_categories, write)
        yield BOTH, Route("GET", "/variant_attributes", self.attributes, read)
        yield BOTH, Route("POST", "/variant_attributes", self.create_attribute, write)
        books = Pager(self.sandbox, self.store.price_book_feed, "price_books", self._book)
        rows = Pager(self.sandbox, self.store.price_book_product_feed, "price_book_products")
        scope = "products:read:price_books"
        yield f"{BOTH} 3.0", Route("GET", "/price_books", books.page, scope)
        yield f"{BOTH} 3.0", Route("GET", "/price_books/{id}", one_of(books, "price book"), scope)
        yield BOTH, Route("GET", "/price_book_products", rows.page, scope)

        def of_book(request: Request) -> Response:
            return rows.page(request, lambda row: row["price_book_id"] == request.params["id"])

        yield BOTH, Route("GET", "/price_books/{id}/products", of_book, scope)

    def _named(self, resource: str, what: str, feed: Feed[Record], read: str, write: str) -> FamilyRoutes:
        pager = Pager(self.sandbox, feed, resource)

        def create(request: Request) -> Response:
            return self.sandbox.data(self.store.add_named(feed, object_of(request), what)["id"])

        yield BOTH, Route("GET", f"/{resource}", pager.page, read)
        yield BOTH, Route("POST", f"/{resource}", create, write)
        yield BOTH, Route("GET", f"/{resource}/{{id}}", one_of(pager, what), read)

    def categories(self, request: Request) -> Response:
        rows = sorted(
            (self._category(record) for record in self.store.product_type_feed),
            key=lambda row: [step["name"] for step in row["category_path"]],
        )
        return Response.json(
            {"page_info": {"has_next": False, "last_seen": None}, "data": {"categories": rows}},
        )

    @staticmethod
    def _category(record: Record) -> dict[str, Any]:
        path = record["category_path"]
        return {
            "id": record["id"],
            "name": record["name"],
            "root_category_id": path[0]["id"],
            "parent_category_id": path[-2]["id"] if len(path) > 1 else None,
            "leaf_category": record["leaf_category"],
            "category_path": path,
        }

    def save_categories(self, request: Request) -> Response:
        """Creates and renames; ``payload_id`` ties new parents and children of one request together."""
        made: dict[str, Record] = {}
        answers = []
        for row in object_of(request).get("categories") or ():
            if not row.get("name"):
                raise bad_request("A category needs a name.")
            parent_id = row.get("parent_category_id")
            parent = made.get(row.get("payload_parent_category_id") or "")
            if parent_id:
                parent = self.store.get(self.store.product_type_feed, parent_id, "The parent category")
            if row.get("id"):
                record = self.store.get(self.store.product_type_feed, row["id"], "The category")
                record["name"] = row["name"]
                record["category_path"][-1]["name"] = row["name"]
            else:
                record = self._new_category(row["name"], parent)
            self.store.touch(self.store.product_type_feed, record)
            if row.get("payload_id"):
                made[row["payload_id"]] = record
            answer = {"id": record["id"], "payload_id": row.get("payload_id"), "name": record["name"]}
            answers.append(answer | {"parent_category_id": parent["id"] if parent else None})
        return self.sandbox.data([{k: v for k, v in answer.items() if v is not None} for answer in answers])

    def _new_category(self, name: str, parent: Record | None) -> Record:
        record = Record(id=self.store.new_id(), name=name, leaf_category=True, deleted_at=None)
        record["category_path"] = [*(parent["category_path"] if parent else ()), {"id": record["id"], "name": name}]
        if parent:
            parent["leaf_category"] = False
            self.store.touch(self.store.product_type_feed, parent)
        return record

    def attributes(self, request: Request) -> Response:
        rows = [{"id": r["id"], "name": r["name"], "deleted_at": None} for r in self.store.variant_attribute_feed]
        return self.sandbox.data(rows)

    def create_attribute(self, request: Request) -> Response:
        body = object_of(request)
        if any(record["name"] == body.get("name") for record in self.store.variant_attribute_feed):
            raise unprocessable(f"The variant attribute {body.get('name')} exists already.")
        record = self.store.add_named(self.store.variant_attribute_feed, body, "variant attribute")
        moment = self.store.now().isoformat(timespec="seconds")
        answer = {"id": record["id"], "name": record["name"], "created_at": moment, "updated_at": moment}
        return self.sandbox.data(answer, 201)

    def _book(self, book: Record, family: str) -> dict[str, Any]:
        shape = {name: value for name, value in book.items() if not name.endswith("_at")}
        if family == "3.0":
            shape["customer_group_ids"] = [book["customer_group_id"]]
            shape["outlet_ids"] = [book["outlet_id"]] if book["outlet_id"] else []
            shape["restrict_to_platform"] = book["restrict_to_platform_key"]
        return shape


def gone(request: Request) -> Response:
    raise Refusal(410, {"error": "Gone", "message": "This version of the products API is no longer available."})
