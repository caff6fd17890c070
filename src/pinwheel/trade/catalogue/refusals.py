"""What the catalogue refuses, said in both languages."""

from pinwheel.kernel.errors import Refusal


class ProductUnknown(Refusal):
    status = 404
    en = "There is no such product. It may have been merged: look it up by its SKU."
    zh = "没有该商品。它可能已被合并，请按 SKU 查找。"


class CategoryUnknown(Refusal):
    status = 404
    en = "There is no category {category}. Open it first."
    zh = "没有类目 {category}，请先创建。"


class CategoryUnsound(Refusal):
    status = 422
    en = "The category {category}: {why}."
    zh = "类目 {category}：{why_zh}。"


class CategoryElsewhere(Refusal):
    en = "The category {category} stands under another parent. Move it instead of saving it."
    zh = "类目 {category} 位于另一个上级类目之下。请使用移动操作。"


class CategoryCycle(Refusal):
    status = 422
    en = "The category {category} can't stand below itself. Choose another parent."
    zh = "类目 {category} 不能位于自身之下，请选择其他上级类目。"


class CategoryMoveLoses(Refusal):
    en = "{count} products would lose an attribute by this move. Add it to the new parent first."
    zh = "移动后将有 {count} 个商品失去属性。请先在新的上级类目中添加这些属性。"


class AttributeUnsound(Refusal):
    status = 422
    en = "The attribute {attribute}: {why}."
    zh = "属性 {attribute}：{why_zh}。"


class AttributeInUse(Refusal):
    en = "{count} products hold a value of {attribute} that this would break. Change them first."
    zh = "有 {count} 个商品的 {attribute} 取值会因此失效，请先修改这些商品。"


class SkuTaken(Refusal):
    en = "The SKU {sku} belongs to another product. Use another SKU, or edit that product."
    zh = "SKU {sku} 已属于另一个商品。请换一个 SKU 或编辑那个商品。"


class SlugTaken(Refusal):
    en = "The address {slug} belongs to another product. Choose another."
    zh = "地址 {slug} 已属于另一个商品，请换一个。"


class ProductStale(Refusal):
    en = "Somebody saved this product in the meantime (version {found}). Look at it again first."
    zh = "此商品刚被他人保存（版本 {found}）。请先重新查看。"


class ProductUnsound(Refusal):
    status = 422
    en = "{where}: {why}."
    zh = "{where}：{why_zh}。"


class ProductIncomplete(Refusal):
    """It can't be published yet."""

    en = "This product can't be published yet: {lacks} missing. Fill that in first."
    zh = "该商品尚不能发布，缺少：{lacks}。请先补全。"


class ProductArchived(Refusal):
    en = "This product is archived. Bring it back as a draft first."
    zh = "该商品已归档，请先恢复为草稿。"


class FieldUnknown(Refusal):
    status = 422
    en = "{field} can't be edited in bulk. Choose from brand, category_id, channels, tax_class, "
    en += "weight_grams, title.…, description.…, attributes.…"
    zh = "{field} 不支持批量修改。可选：brand、category_id、channels、tax_class、weight_grams、"
    zh += "title.…、description.…、attributes.…"


class ChangeUnknown(Refusal):
    status = 404
    en = "There is no such change. Choose one from the product's history."
    zh = "没有该变更记录，请从商品历史中选择。"


class ChangeReverted(Refusal):
    en = "This change was taken back already."
    zh = "该变更已经撤销过。"


class NotDuplicates(Refusal):
    status = 422
    en = "These products share no article number, or are not both there: they stay apart."
    zh = "这些商品没有相同的商品条码，或已不存在，不能合并。"
