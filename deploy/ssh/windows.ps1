<#
.SYNOPSIS
  Makes this Windows machine reachable by SSH from the tailnet with one key, and nothing else.
.DESCRIPTION
  Run as Administrator. Safe to run again: what is right is left alone, what was changed is said.
  Tailscale SSH has no server on Windows, so this sets up Microsoft's OpenSSH server:
    1. installs it when it is missing,
    2. starts it now and at every boot,
    3. lets port 22 in from the tailnet only,
    4. allows keys and no passwords,
    5. authorises the key with exactly the access list that sshd accepts.
.PARAMETER PublicKey
  One line of a public key: "ssh-ed25519 AAAA... comment".
.PARAMETER AllowFrom
  Address ranges that may connect. Default: the tailnet.
.PARAMETER Remove
  Takes the key away again.
#>
[CmdletBinding(SupportsShouldProcess)]
param(
  [Parameter(Mandatory)]
  [ValidatePattern('^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com|ssh-rsa) [A-Za-z0-9+/]{40,}={0,3}( [^\r\n"]{0,200})?$')]
  [string] $PublicKey,
  [string[]] $AllowFrom = @('100.64.0.0/10', 'fd7a:115c:a1e0::/48'),
  [switch] $Remove
)

$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest

$identity = [Security.Principal.WindowsIdentity]::GetCurrent()
if (-not ([Security.Principal.WindowsPrincipal] $identity).IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
  throw 'Run this in a PowerShell that was started as Administrator.'
}

function Say([string] $Text) { Write-Output "postern: $Text" }

# --- the key alone, to take away -------------------------------------------------------------------------------------
$sshFolder = Join-Path $env:ProgramData 'ssh'
$keyFile = Join-Path $sshFolder 'administrators_authorized_keys'
$keyBody = ($PublicKey -split ' ')[1]

if ($Remove) {
  if (Test-Path $keyFile) {
    $kept = @(Get-Content $keyFile | Where-Object { -not $_.Contains($keyBody) })
    Set-Content -Path $keyFile -Value $kept -Encoding ascii
  }
  Say 'the key is not authorised any more'
  exit 0
}

# --- 1. the server ---------------------------------------------------------------------------------------------------
$capability = Get-WindowsCapability -Online | Where-Object Name -like 'OpenSSH.Server*' | Select-Object -First 1
if ($null -eq $capability) { throw 'This Windows offers no OpenSSH server. Windows 10 1809 and Server 2019 are the oldest that do.' }
if ($capability.State -ne 'Installed') {
  Add-WindowsCapability -Online -Name $capability.Name | Out-Null
  Say 'installed the OpenSSH server'
} else { Say 'the OpenSSH server is installed' }

# --- 2. now and at every boot ----------------------------------------------------------------------------------------
Set-Service -Name sshd -StartupType Automatic
if ((Get-Service sshd).Status -ne 'Running') { Start-Service sshd; Say 'started sshd' } else { Say 'sshd runs' }

# --- 3. the firewall: the tailnet, nobody else -----------------------------------------------------------------------
$ruleName = 'OpenSSH-Server-In-TCP'
$rule = Get-NetFirewallRule -Name $ruleName -ErrorAction SilentlyContinue
if ($null -eq $rule) {
  New-NetFirewallRule -Name $ruleName -DisplayName 'OpenSSH Server (sshd)' -Enabled True -Direction Inbound `
    -Protocol TCP -Action Allow -LocalPort 22 -RemoteAddress $AllowFrom | Out-Null
  Say "port 22 is open from $($AllowFrom -join ', ')"
} else {
  # The rule that the installation makes lets everybody in.
  Set-NetFirewallRule -Name $ruleName -Enabled True -Direction Inbound -Action Allow -RemoteAddress $AllowFrom
  Say "port 22 is open from $($AllowFrom -join ', ') only"
}

# --- 4. keys, no passwords -------------------------------------------------------------------------------------------
$config = Join-Path $sshFolder 'sshd_config'
$wanted = [ordered]@{ PubkeyAuthentication = 'yes'; PasswordAuthentication = 'no'; KbdInteractiveAuthentication = 'no' }
$lines = @(Get-Content $config)
$before = $lines -join "`n"
foreach ($name in $wanted.Keys) {
  # sshd takes the first value that it reads, and a Match block has its own: the line stands at the top.
  $lines = @("$name $($wanted[$name])") + @($lines | Where-Object { $_ -notmatch "^\s*$name\s" })
}
if (($lines -join "`n") -ne $before) {
  $copy = "$config.before-postern"
  if (-not (Test-Path $copy)) { Copy-Item $config $copy }
  Set-Content -Path $config -Value $lines -Encoding ascii
  & "$env:SystemRoot\System32\OpenSSH\sshd.exe" -t -f $config
  if ($LASTEXITCODE -ne 0) { Copy-Item $copy $config -Force; throw 'sshd does not take the new configuration; the old one is back.' }
  Restart-Service sshd
  Say 'passwords are off, keys are on'
} else { Say 'passwords are off already' }

# --- 5. the key ------------------------------------------------------------------------------------------------------
if (-not (Test-Path $keyFile)) { New-Item -Path $keyFile -ItemType File | Out-Null }
$present = @(Get-Content $keyFile)
if (-not ($present | Where-Object { $_.Contains($keyBody) })) {
  # Appending to a file without a last line end would join two keys into none.
  Set-Content -Path $keyFile -Value (@($present | Where-Object { $_.Trim() -ne '' }) + $PublicKey) -Encoding ascii
  Say 'authorised the key'
} else { Say 'the key is authorised' }

# sshd ignores the file when anybody else could write it. By well-known ids, since the names differ by language.
$acl = New-Object Security.AccessControl.FileSecurity
$acl.SetAccessRuleProtection($true, $false)
foreach ($sid in 'S-1-5-18', 'S-1-5-32-544') {
  $who = New-Object Security.Principal.SecurityIdentifier $sid
  $acl.AddAccessRule((New-Object Security.AccessControl.FileSystemAccessRule $who, 'FullControl', 'Allow'))
}
$acl.SetOwner((New-Object Security.Principal.SecurityIdentifier 'S-1-5-32-544'))
Set-Acl -Path $keyFile -AclObject $acl
$others = @((Get-Acl $keyFile).Access | Where-Object {
    $_.IdentityReference.Translate([Security.Principal.SecurityIdentifier]).Value -notin 'S-1-5-18', 'S-1-5-32-544'
  })
if ($others.Count -ne 0) { throw "Somebody else may still touch $keyFile; sshd would ignore it." }
Say 'only SYSTEM and Administrators may touch it'

# --- what to compare on the other side -------------------------------------------------------------------------------
Say 'host keys, to compare at the first connection:'
Get-ChildItem $sshFolder -Filter 'ssh_host_*_key.pub' | ForEach-Object {
  & "$env:SystemRoot\System32\OpenSSH\ssh-keygen.exe" -lf $_.FullName
}
