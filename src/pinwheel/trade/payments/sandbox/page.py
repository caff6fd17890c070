"""The page on which the sandbox asks its simulated buyer to confirm."""

from __future__ import annotations

from html import escape

from pinwheel.trade.payments.sandbox.provider import Page

SENTENCES = {
    "en": {
        "title": "Payment sandbox",
        "simulated": "This is a simulation: no bank is asked and no money moves.",
        "ask": "Do you confirm this payment?",
        "approve": "Approve",
        "decline": "Decline",
        "over": "This payment has been decided already.",
        "back": "Back to the shop",
        "phone": "Simulated wallet on your phone",
        "paid": "Paid. The page in the shop goes on by itself.",
        "declined": "You declined. Nothing was charged.",
        "ran_out": "This code has run out. Nothing was charged.",
        "late_ask": "To try what happens to a late payment: let the bank say only now that it had "
        "taken the money.",
        "late": "The bank confirms too late",
    },
    "zh-CN": {
        "title": "支付沙箱",
        "simulated": "此页面为模拟：不会联系任何银行，也不会产生真实扣款。",
        "ask": "是否确认这笔支付？",
        "approve": "确认支付",
        "decline": "拒绝支付",
        "over": "这笔支付已有结果。",
        "back": "返回商店",
        "phone": "手机钱包（模拟）",
        "paid": "支付成功，商店页面会自动跳转。",
        "declined": "您已拒绝，未扣款。",
        "ran_out": "付款码已过期，未扣款。",
        "late_ask": "可试一试迟到的付款：让银行此刻才通知款项早已扣除。",
        "late": "银行迟到的确认",
    },
}


def challenge_page(page: Page, language: str, amount: str) -> str:
    """The whole page; ``amount`` is ready to be read."""
    say = SENTENCES.get(language, SENTENCES["en"])
    title = say["phone" if page.scans else "title"]
    form = f'<form method="post" action="/{language}/sandbox/payments/{page.payment_id}">'
    if page.state == "needs_action":
        body = (
            f"<p>{say['ask']}</p>{form}"
            f'<button class="button" name="approve" value="true">{say["approve"]}</button> '
            f'<button class="button" data-kind="plain" name="approve" value="false">'
            f"{say['decline']}</button></form>"
        )
    elif page.scans and page.state in ("authorised", "captured"):
        body = f'<p role="status">{say["paid"]}</p>'
    elif page.scans and page.ran_out and page.state == "declined":
        body = (
            f'<p role="status">{say["ran_out"]}</p><p>{say["late_ask"]}</p>{form}'
            f'<input type="hidden" name="in_time" value="false">'
            f'<button class="button" data-kind="plain" name="approve" value="true">'
            f"{say['late']}</button></form>"
        )
    elif page.scans:
        body = f'<p role="status">{say["declined"]}</p>'
    else:
        body = f'<p role="status">{say["over"]}</p><p><a href="/{language}/">{say["back"]}</a></p>'
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f"<title>{title}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex">'
        '<link rel="stylesheet" href="/static/tokens.css">'
        '<link rel="stylesheet" href="/static/parts.css">'
        '<link rel="stylesheet" href="/static/shop.css"></head>'
        f'<body class="bare"><main id="main" class="bare-main stack"><h1>{title}</h1>'
        f'<p class="demo-note">{say["simulated"]}</p>'
        f"<p><strong>{escape(amount)}</strong></p>{body}</main></body></html>"
    )
