package applog

import "bytes"

// abroad takes the wording of strerror(3) in another language than English. Programs
// print it behind a colon and, where they add something, before a parenthesis:
// "cp: a.xml: Auf dem Gerät ist kein Speicherplatz mehr verfügbar".
func (m *marks) abroad(msg []byte) {
	rest := msg
	if i := bytes.LastIndex(msg, []byte(": ")); i >= 0 {
		rest = msg[i+2:]
	}
	if i := bytes.Index(rest, []byte(" (")); i > 0 && abroad[string(rest)] == "" {
		rest = rest[:i]
	}
	rest = bytes.TrimRight(rest, " .,;!")
	if e := abroad[string(rest)]; e != "" {
		p := phrase{errno: e}
		switch e {
		case "ETIMEDOUT":
			p.signs = hasTimeout
		case "ENOMEM":
			p.signs = hasOOM
		}
		m.take(p)
	}
}

// abroad are the texts of glibc for the errors that the rules know, in German, French,
// Spanish, Portuguese, Italian, Dutch, Polish, Russian, Ukrainian, Czech, Swedish,
// Turkish, Japanese, Chinese and Korean.
var abroad = map[string]string{
	"Auf dem Gerät ist kein Speicherplatz mehr verfügbar": "ENOSPC", "Aucun espace disponible sur le périphérique": "ENOSPC",
	"No queda espacio en el dispositivo": "ENOSPC", "Não há espaço disponível no dispositivo": "ENOSPC", "Spazio esaurito sul device": "ENOSPC",
	"Geen ruimte meer over op apparaat": "ENOSPC", "Brak miejsca na urządzeniu": "ENOSPC", "На устройстве не осталось свободного места": "ENOSPC",
	"Недостатньо місця на пристрої": "ENOSPC", "Na zařízení není volné místo": "ENOSPC", "Enheten är full": "ENOSPC",
	"Aygıt üzerinde boş yer yok": "ENOSPC", "デバイスに空き領域がありません": "ENOSPC", "设备上没有空间": "ENOSPC", "裝置上已無多餘空間": "ENOSPC", "장치에 남은 공간이 없음": "ENOSPC",
	"Zu viele offene Dateien": "EMFILE", "Trop de fichiers ouverts": "EMFILE", "Demasiados ficheros abiertos": "EMFILE",
	"Muitos arquivos abertos": "EMFILE", "Troppi file aperti": "EMFILE", "Te veel open bestanden": "EMFILE", "Za dużo otwartych plików": "EMFILE",
	"Слишком много открытых файлов": "EMFILE", "Забагато відкритих файлів": "EMFILE", "Překročen limit počtu otevřených souborů": "EMFILE",
	"För många öppna filer": "EMFILE", "Çok fazla açık dosya var": "EMFILE", "ファイルを開きすぎです": "EMFILE", "打开的文件过多": "EMFILE", "開啟太多檔案": "EMFILE",
	"열린 파일이 너무 많음":                      "EMFILE",
	"Zu viele offene Dateien im System": "ENFILE", "Trop de fichiers ouverts dans le système": "ENFILE",
	"Demasiados ficheros abiertos en el sistema": "ENFILE", "Muitos arquivos abertos no sistema": "ENFILE", "Troppi file aperti nel sistema": "ENFILE",
	"Te veel open bestanden in systeem": "ENFILE", "Za dużo otwartych plików w systemie": "ENFILE", "Слишком много открытых файлов в системе": "ENFILE",
	"У системі забагато відкритих файлів": "ENFILE", "V celém systému je příliš mnoho otevřených souborů": "ENFILE",
	"För många öppna filer i systemet": "ENFILE", "Sistemde çok fazla açık dosya var": "ENFILE", "システム中のファイルを開きすぎです": "ENFILE", "系统中打开的文件过多": "ENFILE",
	"系統中太多的開啟檔案": "ENFILE", "시스템에 파일을 너무 많이 열었음": "ENFILE",
	"Die Ressource ist zur Zeit nicht verfügbar": "EAGAIN", "Ressource temporairement non disponible": "EAGAIN",
	"Recurso no disponible temporalmente": "EAGAIN", "Recurso temporariamente indisponível": "EAGAIN",
	"Risorsa temporaneamente non disponibile": "EAGAIN", "Hulpbron is tijdelijk onbeschikbaar": "EAGAIN", "Zasoby chwilowo niedostępne": "EAGAIN",
	"Ресурс временно недоступен": "EAGAIN", "Ресурс тимчасово недоступний": "EAGAIN", "Prostředek je dočasně nepřístupný": "EAGAIN",
	"Resursen tillfälligt otillgänglig": "EAGAIN", "Özkaynak geçici olarak kullanılamaz durumda": "EAGAIN", "リソースが一時的に利用できません": "EAGAIN",
	"资源暂时不可用": "EAGAIN", "資源暫時無法取得": "EAGAIN", "자원이 일시적으로 사용 불가능함": "EAGAIN",
	"Nicht genügend Hauptspeicher verfügbar": "ENOMEM", "Ne peut allouer de la mémoire": "ENOMEM", "No se pudo asignar memoria": "ENOMEM",
	"Não foi possível alocar memória": "ENOMEM", "Impossibile allocare memoria": "ENOMEM", "Onvoldoende geheugen beschikbaar": "ENOMEM",
	"Nie można przydzielić pamięci": "ENOMEM", "Невозможно выделить память": "ENOMEM", "Не вдалося розподілити пам’ять": "ENOMEM",
	"Nelze alokovat paměť": "ENOMEM", "Kan inte allokera minne": "ENOMEM", "Bellek ayrılamadı": "ENOMEM", "メモリを確保できません": "ENOMEM", "无法分配内存": "ENOMEM",
	"無法配置記憶體": "ENOMEM", "메모리를 할당할 수 없습니다": "ENOMEM",
	"Die Adresse wird bereits verwendet": "EADDRINUSE", "Adresse déjà utilisée": "EADDRINUSE", "La dirección ya se está usando": "EADDRINUSE",
	"Endereço já em uso": "EADDRINUSE", "Indirizzo già in uso": "EADDRINUSE", "Adres is al in gebruik": "EADDRINUSE",
	"Adres jest już w użyciu": "EADDRINUSE", "Адрес уже используется": "EADDRINUSE", "Адресу вже використано": "EADDRINUSE",
	"Adresa je užívána": "EADDRINUSE", "Adressen redan upptagen": "EADDRINUSE", "Adres zaten kullanımda": "EADDRINUSE", "アドレスは既に使用中です": "EADDRINUSE",
	"地址已在使用": "EADDRINUSE", "位址已經有在使用": "EADDRINUSE", "주소가 이미 사용 중입니다": "EADDRINUSE",
	"Die angeforderte Adresse kann nicht zugewiesen werden": "EADDRNOTAVAIL", "Ne peut attribuer l'adresse demandée": "EADDRNOTAVAIL",
	"No se puede asignar la dirección solicitada": "EADDRNOTAVAIL", "Não foi possível acessar o endereço requisitado": "EADDRNOTAVAIL",
	"Impossibile assegnare l'indirizzo richiesto": "EADDRNOTAVAIL", "Kan verzochte adres niet toewijzen": "EADDRNOTAVAIL",
	"Nie można przypisać żądanego adresu": "EADDRNOTAVAIL", "Невозможно назначить запрошенный адрес": "EADDRNOTAVAIL",
	"Не вдалося призначити вказану адресу": "EADDRNOTAVAIL", "Požadovanou adresu nelze přiřadit": "EADDRNOTAVAIL",
	"Kan inte tilldela begärd adress": "EADDRNOTAVAIL", "İstenen adres bulunamıyor": "EADDRNOTAVAIL", "要求アドレスに割り当てられません": "EADDRNOTAVAIL",
	"无法指定被请求的地址": "EADDRNOTAVAIL", "無法指定所需的位址": "EADDRNOTAVAIL", "요청한 주소를 배정할 수 없습니다": "EADDRNOTAVAIL",
	"Verbindungsaufbau abgelehnt": "ECONNREFUSED", "Connexion refusée": "ECONNREFUSED", "Conexión rehusada": "ECONNREFUSED",
	"Conexão recusada": "ECONNREFUSED", "Connessione rifiutata": "ECONNREFUSED", "Verbinding is geweigerd": "ECONNREFUSED",
	"Połączenie odrzucone": "ECONNREFUSED", "В соединении отказано": "ECONNREFUSED", "У з'єднанні відмовлено": "ECONNREFUSED",
	"Spojení odmítnuto": "ECONNREFUSED", "Förbindelsen förvägrad": "ECONNREFUSED", "Bağlantı reddedildi": "ECONNREFUSED", "接続を拒否されました": "ECONNREFUSED",
	"拒绝连接": "ECONNREFUSED", "連線被拒絕": "ECONNREFUSED", "연결이 거부됨": "ECONNREFUSED",
	"Die Verbindung wurde vom Kommunikationspartner zurückgesetzt": "ECONNRESET", "Connexion ré-initialisée par le correspondant": "ECONNRESET",
	"Conexión reinicializada por la máquina remota": "ECONNRESET", "Conexão fechada pela outra ponta": "ECONNRESET",
	"Connessione interrotta dal corrispondente": "ECONNRESET", "Verbinding is weggevallen": "ECONNRESET",
	"Połączenie zerwane przez drugą stronę": "ECONNRESET", "Соединение разорвано другой стороной": "ECONNRESET",
	"Вузол розірвав з’єднання": "ECONNRESET", "Spojení zrušeno druhou stranou": "ECONNRESET", "Förbindelse borttagen av partnern": "ECONNRESET",
	"Bağlantı karşıdan kesildi": "ECONNRESET", "接続が相手からリセットされました": "ECONNRESET", "连接被对方重设": "ECONNRESET", "連線被對方重設": "ECONNRESET",
	"상대편이 연결을 끊음":                                     "ECONNRESET",
	"Die Wartezeit für die Verbindung ist abgelaufen": "ETIMEDOUT", "Connexion terminée par expiration du délai d'attente": "ETIMEDOUT",
	"Expiró el tiempo de conexión": "ETIMEDOUT", "Tempo esgotado para conexão": "ETIMEDOUT", "Connessione scaduta": "ETIMEDOUT",
	"Verbinding is verlopen": "ETIMEDOUT", "Przekroczony czas oczekiwania na połączenie": "ETIMEDOUT", "Время ожидания соединения истекло": "ETIMEDOUT",
	"Перевищено інтервал очікування з'єднання": "ETIMEDOUT", "Spojení bylo příliš dlouho neaktivní": "ETIMEDOUT",
	"Förbindelsens tidsgräns löpte ut": "ETIMEDOUT", "Bağlantıda zaman aşımı": "ETIMEDOUT", "接続がタイムアウトしました": "ETIMEDOUT", "连接超时": "ETIMEDOUT",
	"連線超過時間": "ETIMEDOUT", "연결 시간 초과": "ETIMEDOUT",
	"Datenübergabe unterbrochen (broken pipe)": "EPIPE", "Relais brisé (pipe)": "EPIPE", "Tubería rota": "EPIPE", "Pipe quebrado": "EPIPE",
	"Pipe interrotta": "EPIPE", "Gebroken pijp": "EPIPE", "Przerwany potok": "EPIPE", "Обрыв канала": "EPIPE", "Канал обірвано": "EPIPE",
	"Roura přerušena (SIGPIPE)": "EPIPE", "Brutet rör": "EPIPE", "Veri alınamıyor": "EPIPE", "断开的管道": "EPIPE", "管線損壞": "EPIPE", "파이프가 깨어짐": "EPIPE",
	"Keine Route zum Zielrechner": "EHOSTUNREACH", "Aucun chemin d'accès pour atteindre l'hôte cible": "EHOSTUNREACH",
	"No existe ninguna ruta hasta el `host'": "EHOSTUNREACH", "Não há rota para o host": "EHOSTUNREACH",
	"Nessun instradamento per l'host": "EHOSTUNREACH", "Geen route naar host": "EHOSTUNREACH", "Brak trasy do hosta": "EHOSTUNREACH",
	"Нет маршрута до узла": "EHOSTUNREACH", "Немає маршруту до вузла": "EHOSTUNREACH", "K počítači neexistuje cesta": "EHOSTUNREACH",
	"Ingen väg till värd": "EHOSTUNREACH", "Makinaya ağ üzerinden yol yok": "EHOSTUNREACH", "ホストへの経路がありません": "EHOSTUNREACH", "没有到主机的路由": "EHOSTUNREACH",
	"找不到通往該主機的路由路徑": "EHOSTUNREACH", "호스트로 갈 루트가 없음": "EHOSTUNREACH",
	"Das Netzwerk ist nicht erreichbar": "ENETUNREACH", "Le réseau n'est pas accessible": "ENETUNREACH", "La red es inaccesible": "ENETUNREACH",
	"A rede está fora de alcance": "ENETUNREACH", "La rete non è raggiungibile": "ENETUNREACH", "Netwerk is onbereikbaar": "ENETUNREACH",
	"Sieć jest niedostępna": "ENETUNREACH", "Сеть недоступна": "ENETUNREACH", "Не вдалося отримати доступ до мережі": "ENETUNREACH",
	"Síť není dostupná": "ENETUNREACH", "Nätverket kan inte nås": "ENETUNREACH", "Ağ erişilebilir durumda değil": "ENETUNREACH",
	"ネットワークに届きません": "ENETUNREACH", "网络不可达": "ENETUNREACH", "無法接觸網路": "ENETUNREACH", "네트워크가 접근 불가능합니다": "ENETUNREACH",
	"Das Dateisystem ist nur lesbar": "EROFS", "Système de fichiers accessible en lecture seulement": "EROFS",
	"Sistema de ficheros de sólo lectura": "EROFS", "Sistema de arquivos somente para leitura": "EROFS", "File system in sola lettura": "EROFS",
	"Bestandssysteem is alleen-lezen": "EROFS", "System plików wyłącznie do odczytu": "EROFS", "Файловая система доступна только для чтения": "EROFS",
	"Файлова система тільки для зчитування": "EROFS", "Systém souborů je pouze pro čtení": "EROFS", "Skrivskyddat filsystem": "EROFS",
	"Salt-okunur dosya sistemi": "EROFS", "読み込み専用ファイルシステムです": "EROFS", "只读文件系统": "EROFS", "唯讀的檔案系統": "EROFS", "읽기전용 파일 시스템": "EROFS",
	"Eingabe-/Ausgabefehler": "EIO", "Erreur d'entrée/sortie": "EIO", "Error de entrada/salida": "EIO", "Erro de entrada/saída": "EIO",
	"Errore di input/output": "EIO", "Invoer-/uitvoerfout": "EIO", "Błąd wejścia/wyjścia": "EIO", "Ошибка ввода/вывода": "EIO",
	"Помилка введення-виведення": "EIO", "Chyba vstupu/výstupu": "EIO", "In/ut-fel": "EIO", "Girdi/Çıktı hatası": "EIO", "入力/出力エラーです": "EIO",
	"输入/输出错误": "EIO", "輸入/輸出錯誤": "EIO", "입력/출력 오류": "EIO",
	"Der zugewiesene Plattenplatz (Quota) ist überschritten": "EDQUOT", "Débordement du quota d'espace disque": "EDQUOT",
	"Se ha excedido la cuota de disco": "EDQUOT", "Cota da disco excedida": "EDQUOT", "Quota disco superata": "EDQUOT",
	"Schijfquotum is overschreden": "EDQUOT", "Przekroczony limit dyskowy": "EDQUOT", "Превышена дисковая квота": "EDQUOT",
	"Перевищено квоту диска": "EDQUOT", "Překročena disková kvóta": "EDQUOT", "Diskkvot överskriden": "EDQUOT", "Disk kotası aşıldı": "EDQUOT",
	"ディスク使用量制限を超過しました": "EDQUOT", "超出磁盘限额": "EDQUOT", "磁碟配額已滿": "EDQUOT", "디스크 할당량이 초과됨": "EDQUOT",
}
