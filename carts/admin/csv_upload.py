"""Import of a CSV file into a built-in warehouse: upload, result with every line that could not be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from carts.admin.base import HubAdmin, as_id
from carts.admin.scoping import scoped
from carts.book_checks import BookError
from carts.csv_table import ImportResult
from carts.forms.stock import CsvForm
from carts.models import Warehouse

MOST_PROBLEMS_SHOWN = 100


def builtin_warehouses(request: HttpRequest) -> QuerySet[Warehouse]:
    return scoped(Warehouse.objects.in_hub(), request.user, "merchant")


def chosen_warehouse(request: HttpRequest, *names: str) -> Warehouse | None:
    """The built-in warehouse that a list is filtered by, else the only one there is."""
    found = list(builtin_warehouses(request)[:50])
    for name in names:
        wanted = as_id(request.GET.get(name, ""))
        for warehouse in found:
            if warehouse.pk == wanted:
                return warehouse
    return found[0] if len(found) == 1 else None


def import_page(
    admin: HubAdmin,
    request: HttpRequest,
    *,
    heading: str,
    explanation: str,
    read: Callable[[Warehouse, bytes], ImportResult],
) -> HttpResponse:
    """GET shows the form, POST reads the file and shows what became of it."""
    warehouses = builtin_warehouses(request)
    initial = {"warehouse": chosen_warehouse(request, "warehouse", "connection")}
    form = CsvForm(request.POST or None, request.FILES or None, warehouses=warehouses, initial=initial)
    context: dict[str, Any] = {
        "title": heading,
        "heading": heading,
        "explanation": explanation,
        "form": form,
        "submit": "Import",
        "back": admin.list_link(),
    }
    if not warehouses.exists():
        messages.info(request, "There is no built-in warehouse yet. Add one first.")
        return HttpResponseRedirect(admin.list_link())
    if request.method == "POST" and form.is_valid():
        try:
            result = read(form.cleaned_data["warehouse"], form.cleaned_data["file"].read())
        except BookError as error:
            form.add_error("file", str(error))
        else:
            if result.ok:
                messages.success(request, result.summary)
                return HttpResponseRedirect(admin.list_link())
            context |= {"result": result, "problems": result.problems[:MOST_PROBLEMS_SHOWN]}
    return admin.page(request, "admin/hub/csv_import.html", context)
