#!/bin/sh
# Install the mail programs that the tests use for real. Quick when they are there.
#
# As root on Debian and its children they are installed with apt-get; without root they are unpacked
# into .programs/, with links in .programs/bin, which the Makefile puts on the PATH. On other systems
# this says what is missing. No service is left running that did not run before.
#
# Cyrus and Courier cannot be installed beside Dovecot: they are always unpacked into .programs/files.
set -eu

cd "$(dirname "$0")/.."
PATH=$PWD/.programs/bin:$PATH:/usr/sbin:/sbin
here=$PWD/.programs

# program or file:package
wanted="
curl:curl
mbsync:isync
mutt:mutt
fetchmail:fetchmail
getmail:getmail6
offlineimap:offlineimap3
tmux:tmux
strace:strace
fail2ban-regex:fail2ban
slapd:slapd
samba:samba
/usr/share/samba/setup:samba-ad-provision
/usr/lib/*/samba/ldb/samba_dsdb.so:samba-dsdb-modules
/usr/lib/*/samba/vfs/acl_xattr.so:samba-vfs-modules
slapadd:slapd
ldapadd:ldap-utils
/usr/lib/dovecot/imap:dovecot-imapd
/usr/lib/dovecot/pop3:dovecot-pop3d
openssl:openssl
/usr/lib/cyrus/bin/imtest:cyrus-clients
gsasl:gsasl
/usr/lib/*/sasl2/libscram.so:libsasl2-modules
haproxy:haproxy
"

# file:package, for what is only unpacked
aside="
/usr/bin/couriertls:courier-base
/usr/bin/imapd:courier-imap
/usr/lib/courier/courier/courierpop3d:courier-pop
/usr/lib/courier-authlib/libauthuserdb.so:courier-authlib-userdb
/usr/lib/cyrus/bin/imapd:cyrus-imapd
/usr/lib/cyrus/bin/pop3d:cyrus-pop3d
/usr/sbin/saslpasswd2:sasl2-bin
"

there() {
    case $1 in
        # shellcheck disable=SC2086 # the directory of an architecture is a pattern
        /*) ls $1 >/dev/null 2>&1 || ls "$here/files"$1 >/dev/null 2>&1 ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

missing=
for pair in $wanted; do
    there "${pair%%:*}" || missing="$missing ${pair##*:}"
done
unpacked=
for pair in $aside; do
    [ -e "$here/files${pair%%:*}" ] || unpacked="$unpacked ${pair##*:}"
done
[ -n "$missing$unpacked" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "The tests also need the programs of these Debian packages:$missing$unpacked" >&2
    echo "Install them by this system's own means, and run this again." >&2
    exit 1
fi

# Fetch packages, with what they need that is not installed, and unpack them. apt-get works out what
# that is without changing anything, one at a time, since some conflict with each other. Packages
# of which there only is a newer version are left alone.
unpack() {
    echo "Unpacking into .programs/: $*"
    mkdir -p "$here/debs" "$here/files" "$here/bin"
    packages=$(for package; do
        apt-get install --simulate --no-install-recommends "$package" 2>/dev/null |
            sed -n 's/^Inst \([^ ]*\) (.*/\1/p'
    done | sort -u)
    # shellcheck disable=SC2086 # a list
    [ -n "$packages" ] && (cd "$here/debs" && apt-get download -qq $packages) || return 1
    for deb in "$here"/debs/*.deb; do
        dpkg -x "$deb" "$here/files"
    done
    rm -r "$here/debs"
}

if [ "$(id -u)" -eq 0 ] && [ -n "$missing" ]; then
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    # dovecot, fail2ban, haproxy and slapd would be started by their packages; the tests start their
    # own.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        trap 'exit 1' HUP INT TERM
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    echo "Installing:$missing"
    # shellcheck disable=SC2086 # a list
    install() { apt-get install -y -qq --no-install-recommends $missing </dev/null >/dev/null; }
    install 2>/dev/null || { apt-get update -qq && install; }
    missing=
fi

if [ "$(id -u)" -eq 0 ]; then
    # apt-get says that it downloads as root, since its own user may not write here.
    # shellcheck disable=SC2086 # a list
    [ -z "$unpacked" ] || unpack $unpacked 2>/dev/null || { apt-get update -qq && unpack $unpacked; }
else
    # shellcheck disable=SC2086 # a list
    unpack $missing $unpacked
fi

for pair in $aside; do
    [ -e "$here/files${pair%%:*}" ] || {
        echo "Still missing: ${pair%%:*}, from Debian's ${pair##*:}" >&2
        exit 1
    }
done
[ "$(id -u)" -ne 0 ] || exit 0

# Each program gets a wrapper that knows where its libraries and modules are.
libraries=$(find "$here/files" -type d \( -path '*/lib/*-linux-gnu*' -o -path '*/lib/dovecot' \) |
    tr '\n' ':')
for directory in usr/bin usr/sbin bin sbin; do
    for program in "$here/files/$directory"/*; do
        [ -f "$program" ] && [ -x "$program" ] || continue
        cat >"$here/bin/${program##*/}" <<END
#!/bin/sh
LD_LIBRARY_PATH='$libraries'\${LD_LIBRARY_PATH:-} \\
PYTHONPATH='$here/files/usr/lib/python3/dist-packages'\${PYTHONPATH:+:\$PYTHONPATH} \\
exec '$program' "\$@"
END
        chmod 755 "$here/bin/${program##*/}"
    done
done

for pair in $wanted; do
    there "${pair%%:*}" || {
        echo "Still missing: ${pair%%:*}; as root: apt-get install ${pair##*:}" >&2
        exit 1
    }
done
